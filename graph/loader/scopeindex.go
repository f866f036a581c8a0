package loader

import (
	"sync"

	"github.com/consoleql/consoleql/internal/scope"
)

// scopeIndex stands for a scope within one operation. Whatever is known by its scope and an id
// is looked up many times for each entity, and a number is found sooner than two GUIDs.
type scopeIndex int32

// scopeIndexes numbers the scopes of an operation. The zero places is ready for use.
type scopeIndexes struct {
	mu     sync.Mutex
	scopes []scope.Scope
	known  map[scope.Scope]scopeIndex
	last   scopeIndex // that was asked for: mostly it is the next one, too
}

// of is the place of a scope.
func (p *scopeIndexes) of(sc scope.Scope) scopeIndex {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.scopes) > 0 && p.scopes[p.last] == sc {
		return p.last
	}
	n, ok := p.known[sc]
	if !ok {
		if p.known == nil {
			p.known = make(map[scope.Scope]scopeIndex)
		}
		n = scopeIndex(len(p.scopes)) //nolint:gosec // an operation's scopes are far fewer
		p.known[sc] = n
		p.scopes = append(p.scopes, sc)
	}
	p.last = n
	return n
}

// scope is the scope that a place stands for.
func (p *scopeIndexes) scope(n scopeIndex) scope.Scope {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.scopes[n]
}
