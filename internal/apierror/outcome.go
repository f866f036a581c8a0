package apierror

import (
	"context"
	"errors"
	"maps"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
)

// typeMutation is the object type whose fields are the mutations.
const typeMutation = "Mutation"

// outcomeAt returns the outcome of an error at its place; "" outside of mutations. A failed
// mutation has the outcome of fault.OutcomeOf. An error below the mutation's own field means
// that the change was made, since the payload is read afterwards. An operation that is refused
// before its execution has sent nothing.
func outcomeAt(ctx context.Context, err error) fault.Outcome {
	if !graphql.HasOperationContext(ctx) {
		return ""
	}
	op := graphql.GetOperationContext(ctx)
	if op.Operation == nil || op.Operation.Operation != ast.Mutation {
		return ""
	}
	switch field := graphql.GetFieldContext(ctx); {
	case !operation.Executed(ctx):
		return fault.NotSent
	case field != nil && field.Object != "" && field.Object != typeMutation:
		return fault.Done
	default:
		return outcomeOf(err)
	}
}

// NotExecuted marks errors that prevent a mutation's execution. gqlgen's WebSocket transport
// does not present all of them.
func NotExecuted(op *graphql.OperationContext, errs gqlerror.List) gqlerror.List {
	if len(errs) == 0 || op == nil || op.Operation == nil || op.Operation.Operation != ast.Mutation {
		return errs
	}
	return WithExtension(errs, "outcome", fault.NotSent)
}

// WithExtension returns copies of errors, which may be shared, with a further extension.
func WithExtension(errs gqlerror.List, name string, value any) gqlerror.List {
	got := make(gqlerror.List, len(errs))
	for i, err := range errs {
		e := *err
		e.Extensions = maps.Clone(e.Extensions)
		if e.Extensions == nil {
			e.Extensions = make(map[string]any)
		}
		e.Extensions[name] = value
		got[i] = &e
	}
	return got
}

// outcomeOf is fault.OutcomeOf, plus gqlgen's errors about a mutation's arguments, which it
// decodes before it calls the resolver.
func outcomeOf(err error) fault.Outcome {
	var refusal *gqlerror.Error
	for errors.As(err, &refusal) {
		if err = refusal.Err; err == nil && ExtensionCode(refusal) != string(fault.Internal) {
			return fault.NotSent
		}
	}
	return fault.OutcomeOf(err)
}

// Consequence continues a message with the meaning of an outcome.
func Consequence(outcome fault.Outcome) string {
	switch outcome {
	case fault.NotSent:
		return ", and nothing was changed"
	case fault.Refused:
		return ", and nothing was done"
	case fault.Done:
		return ", after the change was made"
	case fault.Unknown:
		return ", and the change may have been made or not: check before you repeat it"
	default:
		return ""
	}
}

// ExtensionCode returns the code of an answer's error. gqlgen's own errors have it as a plain
// string.
func ExtensionCode(err *gqlerror.Error) string {
	switch code := err.Extensions["code"].(type) {
	case fault.Code:
		return string(code)
	case string:
		return code
	default:
		return string(fault.Internal)
	}
}
