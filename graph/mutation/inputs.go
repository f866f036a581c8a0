package mutation

import (
	"context"
	"maps"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// inputCheck decodes and checks the argument `input` of a mutation.
type inputCheck func(ctx context.Context, raw any) error

// inputs are the checks of all mutations with an input.
func inputs() map[string]inputCheck {
	all := make(map[string]inputCheck)
	for _, section := range []map[string]inputCheck{packageInputs(), queueInputs(), workflowInputs(), workflowLayoutInputs(), sessionInputs()} {
		maps.Copy(all, section)
	}
	return all
}

// scoped is the form of an input that an idempotency key is bound to. It contains the scope:
// the same input in another department is different.
type scoped[I any] struct {
	Scope scope.Scope
	Input I
}

// input decodes and checks a mutation's input before the operation begins. gqlgen decodes it
// only when it executes that mutation.
func input[I any](name string, check func(I) error) func(context.Context, any) error {
	return func(ctx context.Context, raw any) error {
		if raw == nil {
			return fault.BadInput("input", "is null")
		}
		var in I
		ctx = graphql.WithPathContext(ctx, graphql.NewPathWithField("input"))
		err := graphql.UnmarshalNamedInputFromContext(ctx, name, raw, &in)
		if err != nil || check == nil {
			return err
		}
		return check(in)
	}
}

// InputChecker returns a function that checks a mutation's arguments. All mutations of an
// operation are checked before the first one is executed.
func InputChecker() func(ctx context.Context, mutation string, arguments map[string]any) error {
	known := inputs()
	return func(ctx context.Context, mutation string, arguments map[string]any) error {
		check, ok := known[mutation]
		if !ok {
			return nil // it has no input
		}
		return check(ctx, arguments["input"])
	}
}
