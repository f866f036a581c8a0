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

// outcomeAt is the outcome that an error has where it stands: "" outside of mutations.
//
// A mutation that fails has what fault.OutcomeOf says. What its payload selects is read after the change, so that an error
// below the mutation's own field says that the change was made. An operation that is refused before it is executed has sent
// nothing.
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

// NotExecuted says of the errors that keep a mutation from being executed that it was not. gqlgen's transport of WebSockets
// presents not all of them.
func NotExecuted(op *graphql.OperationContext, errs gqlerror.List) gqlerror.List {
	if len(errs) == 0 || op == nil || op.Operation == nil || op.Operation.Operation != ast.Mutation {
		return errs
	}
	told := make(gqlerror.List, len(errs))
	for i, err := range errs {
		e := *err // errors may be shared
		e.Extensions = maps.Clone(e.Extensions)
		if e.Extensions == nil {
			e.Extensions = make(map[string]any)
		}
		e.Extensions["outcome"] = fault.NotSent
		told[i] = &e
	}
	return told
}

// outcomeOf is fault.OutcomeOf with what gqlgen says of a mutation's arguments, which it reads before it calls the
// resolver.
func outcomeOf(err error) fault.Outcome {
	var refusal *gqlerror.Error
	for errors.As(err, &refusal) {
		if err = refusal.Err; err == nil && ExtensionCode(refusal) != string(fault.Internal) {
			return fault.NotSent
		}
	}
	return fault.OutcomeOf(err)
}

// Consequence continues a message with what an outcome means.
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

// ExtensionCode is the code of an error of an answer, which gqlgen's own have as a plain string.
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
