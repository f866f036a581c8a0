package graphqlhttp

import (
	"context"
	"maps"
	"math"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/internal/operation"
)

// Staleness tells the caller of an answer that holds stale data because the console failed, was
// slow or asked to wait (docs/errors.md).
type Staleness struct{}

var _ interface {
	graphql.HandlerExtension
	graphql.ResponseInterceptor
} = Staleness{}

// ExtensionName is the name under which gqlgen knows the extension.
func (Staleness) ExtensionName() string { return "Staleness" }

// Validate accepts every schema.
func (Staleness) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptResponse adds extensions.stale. The entity that an event tells of is fresh, but related
// ones may be stale.
func (Staleness) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	resp := next(ctx)
	if resp == nil {
		return nil
	}
	age, reason := operation.FromContext(ctx).Stale()
	if reason == "" {
		return resp
	}
	extensions := maps.Clone(resp.Extensions)
	if extensions == nil {
		extensions = make(map[string]any, 1)
	}
	extensions["stale"] = map[string]any{"age": int(math.Ceil(age.Seconds())), "reason": reason}
	resp.Extensions = extensions
	return resp
}
