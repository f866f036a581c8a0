package batch

import (
	"sync"

	"github.com/consoleql/consoleql/internal/scope"
)

// ScopeIndex is the number of a scope within an operation. As a part of a map key it is faster than the two GUIDs of
// a scope.
type ScopeIndex int32

// ScopeIndex returns the number of a scope.
func (e *Execution) ScopeIndex(sc scope.Scope) ScopeIndex { return e.scopes.of(sc) }

// ScopeAt returns the scope with a number.
func (e *Execution) ScopeAt(n ScopeIndex) scope.Scope { return e.scopes.at(n) }

// scopeIndexes numbers the scopes of an operation. The zero value is ready for use.
type scopeIndexes struct {
	mu     sync.Mutex
	scopes []scope.Scope
	known  map[scope.Scope]ScopeIndex
	last   ScopeIndex // of the last request: most requests repeat it
}

func (s *scopeIndexes) of(sc scope.Scope) ScopeIndex {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.scopes) > 0 && s.scopes[s.last] == sc {
		return s.last
	}
	n, ok := s.known[sc]
	if !ok {
		if s.known == nil {
			s.known = make(map[scope.Scope]ScopeIndex)
		}
		n = ScopeIndex(len(s.scopes)) //nolint:gosec // an operation has few scopes
		s.known[sc] = n
		s.scopes = append(s.scopes, sc)
	}
	s.last = n
	return n
}

func (s *scopeIndexes) at(n ScopeIndex) scope.Scope {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.scopes[n]
}
