package consoleclient

import (
	"cmp"
	"context"

	"github.com/consoleql/consoleql/internal/scope"
)

// getPage gets one page of a list and decodes it element by element.
func getPage[T any](ctx context.Context, c *Client, sc scope.Scope, r request, names ...string) (*Page[T], error) {
	var page *Page[T]
	err := c.do(ctx, sc, r, func(reader *responseReader) error {
		page = &Page[T]{Date: reader.date}
		reader.maxElements, reader.before, reader.paged = r.maxElements(), r.before(), r.query.Has("PageIndex")
		var err error
		var unidentified error
		page.Count, page.Served, err = decodeList(reader, names, func(e *T, position int) {
			if unidentified == nil {
				unidentified = checkIDs(e)
			}
			if s, ok := any(e).(stamper); ok {
				s.Stamp(sc)
			}
			if position != len(page.List) && page.Positions == nil {
				page.Positions = make([]int, len(page.List))
				for i := range page.Positions {
					page.Positions[i] = i
				}
			}
			if page.Positions != nil {
				page.Positions = append(page.Positions, position)
			}
			page.List = append(page.List, e)
		})
		return cmp.Or(err, unidentified)
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// getEntity gets an entity, bare or wrapped in a list. It returns nil if r is optional and the response holds none, several
// new ones, or another one than r updates. If id is not nil, an entity without an id counts as none.
func getEntity[T any](ctx context.Context, c *Client, sc scope.Scope, r request, id func(*T) string) (*T, error) {
	var entity *T
	err := c.do(ctx, sc, r, func(reader *responseReader) (err error) {
		if !r.optional {
			if entity, err = decodeEntity(reader, id); err != nil {
				return err
			}
			return checkIDs(entity)
		}
		entities, err := decodeEntities(reader, id)
		entity = resultOf(r, entities, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	if s, ok := any(entity).(stamper); ok && entity != nil {
		s.Stamp(sc)
	}
	return entity, nil
}

// resultOf returns the entity that a mutation r created or updated, of those in its response; nil if it is none of them.
func resultOf[T any](r request, entities []*T, id func(*T) string) *T {
	if !r.updates && len(entities) != 1 {
		return nil
	}
	for _, e := range entities {
		if id != nil && !isGUID(id(e)) || r.updates && scope.Canonical(id(e)) != scope.Canonical(r.ids[0]) {
			continue
		}
		if checkIDs(e) == nil {
			return e
		}
	}
	return nil
}

// getEntities gets the entities in the response to a mutation. It returns nil if the response holds none.
func getEntities[T any](ctx context.Context, c *Client, sc scope.Scope, r request, id func(*T) string) ([]*T, error) {
	var entities []*T
	err := c.do(ctx, sc, r, func(reader *responseReader) (err error) {
		entities, err = decodeEntities(reader, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, e := range entities {
		if s, ok := any(e).(stamper); ok {
			s.Stamp(sc)
		}
	}
	return entities, nil
}
