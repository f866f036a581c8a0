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

// inputs are the checks of all mutations that have an input.
func inputs() map[string]inputCheck {
	all := make(map[string]inputCheck)
	for _, section := range []map[string]inputCheck{packageInputs(), queueInputs(), workflowInputs(), workflowLayoutInputs(), sessionInputs()} {
		maps.Copy(all, section)
	}
	return all
}

// scoped is an input as an idempotency key stands for it: the same input in
// another department is another one.
type scoped[I any] struct {
	Scope scope.Scope
	Input I
}

// input decodes a mutation's input as gqlgen does for the resolver, which it
// does not do before it comes to that mutation, and checks it.
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

// InputChecker returns what says of the arguments of a mutation what is wrong
// with them: all mutations of an operation are checked before the first of them
// is carried out.
func InputChecker() func(ctx context.Context, mutation string, arguments map[string]any) error {
	known := inputs()
	return func(ctx context.Context, mutation string, arguments map[string]any) error {
		check, ok := known[mutation]
		if !ok {
			return nil // it takes no input
		}
		return check(ctx, arguments["input"])
	}
}
