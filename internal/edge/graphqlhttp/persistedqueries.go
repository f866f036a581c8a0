package graphqlhttp

import (
	"context"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
)

// PersistedQueries is gqlgen's extension with error codes, which most of its refusals lack. It
// shares the texts of valid documents.
type PersistedQueries struct {
	extension.AutomaticPersistedQuery
	texts PersistedTexts
}

// NewPersistedQueries returns the extension for texts.
func NewPersistedQueries(texts PersistedTexts) PersistedQueries {
	return PersistedQueries{extension.AutomaticPersistedQuery{Cache: texts}, texts}
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

// MutateOperationContext shares a text that came with its hash. A document without a hash for
// logs may contain a password, and is not shared.
func (p PersistedQueries) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	stats := extension.GetApqStats(graphql.WithOperationContext(ctx, op))
	if stats != nil && stats.SentQuery && operation.DocumentHash(op) != "" {
		p.texts.Share(ctx, stats.Hash, op.RawQuery)
	}
	return nil
}
