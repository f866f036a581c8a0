package relation

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/internal/fault"
)

// filterFrom decodes the filter of a list as gqlgen does for the resolver. gqlgen exposes its decoders to queries and
// mutations, but not to subscriptions, whose events also contain lists.
func filterFrom[F comparable](raw any) (*F, error) {
	given, ok := raw.(map[string]any)
	if !ok {
		return nil, fault.BadInput("filter", "is no object")
	}
	f := new(F)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		var err error
		switch field := filterField(f, name).(type) {
		case nil: // gqlparser accepts no unknown field except __typename
		case graphql.Unmarshaler:
			err = field.UnmarshalGQL(given[name])
		case *string: // null means the same as no value
			*field, err = graphql.UnmarshalString(given[name])
		}
		if err != nil {
			return nil, fault.BadInput("filter."+name, "%w", err)
		}
	}
	return f, nil
}

// filterField returns a pointer to the field of a filter with that name in the schema, nil if there is none. Like
// gqlgen, it ignores the case of names.
func filterField(filter any, name string) any {
	f := reflect.ValueOf(filter).Elem().FieldByNameFunc(func(field string) bool { return strings.EqualFold(field, name) })
	if !f.IsValid() {
		return nil
	}
	return f.Addr().Interface()
}
