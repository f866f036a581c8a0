package relation

import (
	"maps"
	"slices"

	"github.com/99designs/gqlgen/graphql"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
)

// filterFrom decodes a list's filter as gqlgen does for the resolver. gqlgen lends
// its own decoders to queries and mutations, but not to subscriptions, whose
// events have lists as well.
func filterFrom[F comparable](raw any) (*F, error) {
	given, ok := raw.(map[string]any)
	if !ok {
		return nil, fault.BadInput("filter", "is no object")
	}
	f := new(F)
	fields := filterFields(f)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		field, ok := fields[name]
		if !ok {
			continue // gqlparser lets none through but __typename
		}
		if err := field.UnmarshalGQL(given[name]); err != nil {
			return nil, fault.BadInput("filter."+name, "%w", err)
		}
	}
	return f, nil
}

// text is a filter's String, of which null counts as left out.
type text string

// UnmarshalGQL takes what gqlgen takes for a String.
func (t *text) UnmarshalGQL(v any) error {
	s, err := graphql.UnmarshalString(v)
	*t = text(s)
	return err
}

// filterFields are the fields of a filter by their names in the schema.
func filterFields(filter any) map[string]graphql.Unmarshaler {
	entity := func(name, search *string, queue, pkg, version *cc.OptionalID) map[string]graphql.Unmarshaler {
		return map[string]graphql.Unmarshaler{
			"name": (*text)(name), "searchString": (*text)(search),
			"associatedQueueId": queue, "packageId": pkg, "packageVersionId": version,
		}
	}
	switch f := filter.(type) {
	case *cc.PackageFilter:
		return map[string]graphql.Unmarshaler{
			"name": (*text)(&f.Name), "searchString": (*text)(&f.SearchString), "startTime": &f.StartTime, "endTime": &f.EndTime,
		}
	case *cc.QueueFilter:
		return entity(&f.Name, &f.SearchString, &f.AssociatedQueueID, &f.PackageID, &f.PackageVersionID)
	case *cc.RobotFilter:
		return entity(&f.Name, &f.SearchString, &f.AssociatedQueueID, &f.PackageID, &f.PackageVersionID)
	case *cc.WorkflowFilter:
		return entity(&f.Name, &f.SearchString, &f.AssociatedQueueID, &f.PackageID, &f.PackageVersionID)
	case *cc.WorkflowLayoutFilter:
		return map[string]graphql.Unmarshaler{"name": (*text)(&f.Name), "searchString": (*text)(&f.SearchString)}
	default:
		return nil
	}
}
