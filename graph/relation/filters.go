package relation

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
)

// filterFrom decodes the filter of a list as gqlgen does for the resolver. gqlgen exposes its decoders to queries and
// mutations, but not to subscriptions, whose events also contain lists.
func filterFrom[F any](raw any) (*F, error) {
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
		case **bool:
			*field, err = optional(given[name], graphql.UnmarshalBoolean)
		case **int:
			*field, err = optional(given[name], graphql.UnmarshalInt)
		case *[]string:
			if name == "ids" && given[name] != nil {
				err = decodeIDs(given[name], field)
			} else if given[name] != nil {
				*field, err = decodeList(given[name], graphql.UnmarshalString)
			}
		case *[]cc.RobotStatus:
			if given[name] != nil {
				*field, err = decodeList(given[name], func(v any) (s cc.RobotStatus, err error) {
					err = s.UnmarshalGQL(v)
					return s, err
				})
			}
		}
		if err != nil {
			return nil, fault.BadInput("filter."+name, "%w", err)
		}
	}
	return f, nil
}

// decodeList decodes the values of a list, which is never nil.
func decodeList[V any](raw any, decode func(any) (V, error)) ([]V, error) {
	list := graphql.CoerceList(raw)
	values := make([]V, len(list))
	for i, v := range list {
		var err error
		if values[i], err = decode(v); err != nil {
			return nil, err
		}
	}
	return values, nil
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
