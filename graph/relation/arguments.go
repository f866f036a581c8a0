package relation

import (
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/graph/entity"
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

// checkList returns an error that names a wrong argument of a connection field.
func checkList[F comparable](c loader.FieldCall) error {
	args, err := listArguments[F](c)
	if err != nil {
		return err
	}
	return args.Check()
}

// listArguments returns the arguments of a connection field. In look-ahead it decodes them as
// gqlgen does. gqlgen calls no resolver if they are wrong, and nothing is loaded then.
func listArguments[F comparable](c loader.FieldCall) (entity.ListArgs[F], error) {
	var a entity.ListArgs[F]
	if c.Args != nil {
		a.Filter, _ = c.Args["filter"].(*F)
		a.Order, _ = c.Args["order"].(*entity.SortOrder)
		a.First, _ = c.Args["first"].(*int)
		a.After, _ = c.Args["after"].(*string)
		a.Offset, _ = c.Args["offset"].(*int)
		return a, nil
	}
	raw := c.Arguments()
	if v := raw["filter"]; v != nil {
		filter, err := filterFrom[F](v)
		if err != nil {
			return a, err
		}
		a.Filter = filter
	}
	if v := raw["order"]; v != nil {
		a.Order = new(entity.SortOrder)
		if err := a.Order.UnmarshalGQL(v); err != nil {
			return a, err
		}
	}
	if v := raw["after"]; v != nil {
		s, err := graphql.UnmarshalString(v)
		if err != nil {
			return a, err
		}
		a.After = &s
	}
	for name, to := range map[string]**int{"first": &a.First, "offset": &a.Offset} {
		if v := raw[name]; v != nil {
			n, err := graphql.UnmarshalInt(v)
			if err != nil {
				return a, err
			}
			*to = &n
		}
	}
	return a, nil
}

// implied sets a filter's id, unless the filter names another.
func implied(filter *cc.OptionalID, id string) bool {
	if *filter != "" && !sameID(string(*filter), id) {
		return false
	}
	*filter = cc.OptionalID(id)
	return true
}

// sameID reports whether two GUIDs are equal. It ignores their case and form.
func sameID(a, b string) bool {
	x, errX := scope.ParseID(a)
	y, errY := scope.ParseID(b)
	return errX == nil && errY == nil && strings.EqualFold(x, y) || strings.EqualFold(a, b)
}
