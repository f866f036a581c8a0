package relation

import (
	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/graph/entity"
	"github.com/consoleql/consoleql/graph/fanout"
	"github.com/consoleql/consoleql/graph/listing"
	"github.com/consoleql/consoleql/graph/loader"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// idArgument returns the argument `id`, decoded as gqlgen decodes it.
func idArgument(c loader.FieldCall) (string, error) {
	given := c.Args
	if given == nil {
		given = c.Arguments()
	}
	raw, err := graphql.UnmarshalID(given["id"])
	if err != nil {
		return "", fault.BadInput("id", "%w", err)
	}
	id, err := scope.ParseID(raw)
	if err != nil {
		return "", fault.BadInput("id", "%w", err)
	}
	return id, nil
}

func checkID(c loader.FieldCall) error {
	_, err := idArgument(c)
	return err
}

// nameArgument returns the argument `name`; empty: it is not given.
func nameArgument(c loader.FieldCall) string {
	if c.Args == nil {
		name, _ := c.Arguments()["name"].(string)
		return name
	}
	if name, _ := c.Args["name"].(*string); name != nil {
		return *name
	}
	return ""
}

// filterOf is a filter of the schema. Split returns the console's part of it, and the conditions of the gateway.
type filterOf[T any, F comparable] interface {
	Split() (F, listing.Conditions[T])
}

// checkList returns an error that names a wrong argument of a connection field.
func checkList[T any, F comparable, G filterOf[T, F]](c loader.FieldCall) error {
	if _, err := listArguments[T, F, G](c); err != nil {
		return err
	}
	_, err := idsArgument(c, "departmentIds")
	return err
}

// listArguments returns the arguments of a connection field, checked before the console is asked for anything. In look-ahead it decodes them as
// gqlgen does. gqlgen calls no resolver if they are wrong, and nothing is loaded then.
func listArguments[T any, F comparable, G filterOf[T, F]](c loader.FieldCall) (fanout.ListQuery[T, F], error) {
	var q fanout.ListQuery[T, F]
	a := &q.Args
	var filter *G
	if c.Args != nil {
		filter, _ = c.Args["filter"].(*G)
		a.Order, _ = c.Args["order"].(*entity.SortOrder)
		q.OrderBy, _ = c.Args["orderBy"].(*entity.OrderBy)
		a.First, _ = c.Args["first"].(*int)
		a.After, _ = c.Args["after"].(*string)
		a.Offset, _ = c.Args["offset"].(*int)
	} else {
		raw := c.Arguments()
		var err error
		if filter, err = filterArgument[G](raw); err != nil {
			return q, err
		}
		if err := orderArguments(raw, &a.Order, &q.OrderBy); err != nil {
			return q, err
		}
		if a.After, err = optional(raw["after"], graphql.UnmarshalString); err != nil {
			return q, err
		}
		if a.First, err = optional(raw["first"], graphql.UnmarshalInt); err != nil {
			return q, err
		}
		if a.Offset, err = optional(raw["offset"], graphql.UnmarshalInt); err != nil {
			return q, err
		}
	}
	if filter != nil {
		var console F
		console, q.Conditions = (*filter).Split()
		a.Filter = &console
	}
	return q, q.Check()
}

func filterArgument[G any](raw map[string]any) (*G, error) {
	if raw["filter"] == nil {
		return nil, nil
	}
	return filterFrom[G](raw["filter"])
}

// orderArguments decodes the arguments `order` and `orderBy`.
func orderArguments(raw map[string]any, order **entity.SortOrder, by **entity.OrderBy) error {
	if v := raw["order"]; v != nil {
		*order = new(entity.SortOrder)
		if err := (*order).UnmarshalGQL(v); err != nil {
			return err
		}
	}
	given, ok := raw["orderBy"].(map[string]any)
	if !ok {
		return nil
	}
	*by = &entity.OrderBy{Direction: entity.SortOrderAsc}
	if err := (*by).Field.UnmarshalGQL(given["field"]); err != nil {
		return fault.BadInput("orderBy.field", "%w", err)
	}
	if v := given["direction"]; v != nil {
		return (*by).Direction.UnmarshalGQL(v)
	}
	return nil
}

// optional decodes a value that may be null or absent.
func optional[V any](raw any, decode func(any) (V, error)) (*V, error) {
	if raw == nil {
		return nil, nil
	}
	v, err := decode(raw)
	if err != nil {
		return nil, err
	}
	return &v, nil
}

// idsArgument returns an argument with ids, in lower case; nil if it is not given.
func idsArgument(c loader.FieldCall, name string) ([]string, error) {
	var ids []string
	if c.Args != nil {
		ids, _ = c.Args[name].([]string)
		return ids, nil
	}
	raw := c.Arguments()[name]
	if raw == nil {
		return nil, nil
	}
	if err := decodeIDs(raw, &ids); err != nil {
		return nil, fault.BadInput(name, "%w", err)
	}
	if len(ids) > listing.MaxIDs {
		return nil, fault.BadInput(name, "are %d, more than %d", len(ids), listing.MaxIDs)
	}
	return ids, nil
}

func decodeIDs(raw any, into *[]string) error {
	list := graphql.CoerceList(raw)
	ids := make([]string, len(list))
	for i, v := range list {
		text, err := graphql.UnmarshalID(v)
		if err != nil {
			return err
		}
		if ids[i], err = scope.ParseID(text); err != nil {
			return err
		}
	}
	*into = ids
	return nil
}

// implied sets a filter's id, unless the filter names another.
func implied(filter *cc.OptionalID, id string) bool {
	if *filter != "" && !scope.Same(string(*filter), id) {
		return false
	}
	*filter = cc.OptionalID(id)
	return true
}
