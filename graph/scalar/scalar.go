// Package scalar holds the GraphQL scalars whose Go type is a built-in one and
// which therefore cannot bring their own methods.
package scalar

import (
	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// MarshalID writes an id as the console sent it.
func MarshalID(id string) graphql.Marshaler { return graphql.MarshalString(id) }

// UnmarshalID reads an id: all of the console's are GUIDs, and what is none is
// refused before it can become part of a path. The id is brought to lower case.
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
