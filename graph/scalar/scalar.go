// Package scalar contains the GraphQL scalars whose Go type is built in and cannot have
// methods.
package scalar

import (
	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// MarshalID writes an id as the console sends it. gqlgen needs it; graph/codegen replaces its calls by those of
// sequential.Answer.String, which writes the same.
func MarshalID(id string) graphql.Marshaler { return graphql.MarshalString(id) }

// UnmarshalID reads an id and converts it to lower case. All ids of the console are GUIDs. It
// refuses everything else, since ids become part of paths.
func UnmarshalID(v any) (string, error) {
	s, err := graphql.UnmarshalID(v)
	if err != nil {
		return "", fault.BadInput("", "%w", err)
	}
	id, err := scope.ParseID(s)
	if err != nil {
		return "", fault.BadInput("", "%w", err)
	}
	return id, nil
}
