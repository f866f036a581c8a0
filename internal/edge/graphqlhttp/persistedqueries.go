package graphqlhttp

import (
	"context"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/fault"
)

// PersistedQueries is gqlgen's extension with error codes, which most of its refusals lack.
type PersistedQueries struct {
	extension.AutomaticPersistedQuery
}

// MutateOperationParameters replaces the hash by its text, and refuses a request that has
// neither.
func (p PersistedQueries) MutateOperationParameters(ctx context.Context, params *graphql.RawParams) *gqlerror.Error {
	err := p.AutomaticPersistedQuery.MutateOperationParameters(ctx, params)
	if err != nil && err.Extensions["code"] == nil {
		err.Extensions = map[string]any{"code": string(fault.BadUserInput)}
	}
	if err == nil && strings.TrimSpace(params.Query) == "" {
		err = apierror.Refusal(fault.ValidationFailed, "query: holds no operation")
		err.Extensions["argument"] = "query"
	}
	return err
}
