package explain

import (
	"context"

	"github.com/consoleql/consoleql/internal/cachedconsole"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// ListedKind describes a kind that the console lists and gets by id.
type ListedKind[T any, F comparable] struct {
	cachedconsole.Listed[T]
	// Complete changes a filter so that the list returns complete entities; nil: it always does.
	Complete func(*F)
	// New returns a new entity with an id.
	New func(c *Console, sc scope.Scope, id string, complete bool) *T
}

// entityKey identifies an entity that a Console has returned.
type entityKey struct {
	typeName, id string
	complete     bool
}

// Page answers a list call.
func (k ListedKind[T, F]) Page(ctx context.Context, c *Console, sc scope.Scope, l cc.List[F]) (*cc.Page[T], error) {
	if err := send(ctx); err != nil {
		return nil, err
	}
	complete, none := true, *new(F)
	if k.Complete != nil { // the filter for complete entities selects the same ones
		filter := l.Filter
		k.Complete(&filter)
		k.Complete(&none)
		complete, l.Filter = filter == l.Filter, filter
	}
	list := listKey{typeName: k.Type, scope: sc}
	if l.Filter != none {
		list.filter = l.Filter
	}
	ids, count, err := c.page(list, k.Name, k.ListOperation, l.IDs, l.PageIndex, l.PageSize)
	if err != nil {
		return nil, err
	}
	p := &cc.Page[T]{Count: count, Served: len(ids)}
	for _, id := range ids {
		p.List = append(p.List, k.entity(c, sc, id, complete))
	}
	return p, nil
}

// One answers a call for one entity.
func (k ListedKind[T, F]) One(ctx context.Context, c *Console, sc scope.Scope, id string) (*T, error) {
	if err := send(ctx); err != nil {
		return nil, err
	}
	if err := c.one(k.Name, k.GetOperation); err != nil {
		return nil, err
	}
	return k.entity(c, sc, id, true), nil
}

// entity returns the entity with an id, the same one for each call.
func (k ListedKind[T, F]) entity(c *Console, sc scope.Scope, id string, complete bool) *T {
	key := entityKey{k.Type, id, complete}
	c.mu.Lock()
	made, ok := c.entities[key].(*T)
	c.mu.Unlock()
	if ok {
		return made
	}
	v := k.New(c, sc, id, complete)
	if s, ok := any(v).(interface{ Stamp(origin scope.Scope) }); ok {
		s.Stamp(sc)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if made, ok := c.entities[key].(*T); ok {
		return made
	}
	c.entities[key] = v
	return v
}

// page counts a list call, and returns the ids of its page and the length of the list.
func (c *Console) page(list listKey, kind, operation string, ids []string, index, size int) (onPage []string, length int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	full := c.made > maxEntities
	c.truncated = c.truncated || full
	from, to := index*size, (index+1)*size
	length = to + remainingEntities
	switch {
	case len(ids) > 0 && full:
		return nil, 0, errCut()
	case len(ids) > 0:
		onPage = ids[min(from, len(ids)):min(to, len(ids))]
		c.count(kind, operation, "by the parameter Ids", len(onPage), 0)
		return onPage, len(ids), nil
	case full:
		length = 0
	case list.filter == nil:
		if known, ok := c.hints.ListSize(list.typeName, list.scope); ok {
			length = known
		}
	}
	for i := from; i < min(to, length); i++ {
		onPage = append(onPage, c.id(list, i))
	}
	c.count(kind, operation, "", len(onPage), size)
	return onPage, length, nil
}

// one counts a call for one entity.
func (c *Console) one(kind, operation string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made > maxEntities {
		c.truncated = true
		return errCut()
	}
	c.count(kind, operation, "one by one, by id", 1, 0)
	return nil
}
