package edge

import (
	"context"

	"github.com/99designs/gqlgen/complexity"
	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/fault"
)

// Limits bound what one operation may ask. A zero field stands for its default.
type Limits struct {
	// Depth is how many fields may nest; default 15. Introspection is not counted.
	Depth int
	// Complexity bounds an operation's price, which is about the number of
	// values in its answer; default 1,000,000.
	Complexity int
	// Tokens bounds the length of a document, in lexical tokens; default 15,000.
	Tokens int
	// BodyBytes bounds the request body; default 1 MiB.
	BodyBytes int64
	// UploadBytes bounds a request body that carries files; default 4 GiB.
	UploadBytes int64
}

func (l Limits) withDefaults() Limits {
	if l.Depth == 0 {
		l.Depth = 15
	}
	if l.Complexity == 0 {
		l.Complexity = 1_000_000
	}
	if l.Tokens == 0 {
		l.Tokens = 15_000
	}
	if l.BodyBytes == 0 {
		l.BodyBytes = 1 << 20
	}
	if l.UploadBytes == 0 {
		l.UploadBytes = 4 << 30
	}
	return l
}

// limiter refuses operations that are too deep or too complex before they run.
type limiter struct {
	limits Limits
	schema graphql.ExecutableSchema
}

func (*limiter) ExtensionName() string { return "Limits" }

func (l *limiter) Validate(schema graphql.ExecutableSchema) error {
	l.schema = schema
	return nil
}

func (l *limiter) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	// Depth first: it is cheap and bounds the work of the price.
	if depth := depthOf(op.Operation.SelectionSet, l.limits.Depth); depth > l.limits.Depth {
		return refuse(fault.QueryTooDeep, "the operation nests more than %d fields", l.limits.Depth)
	}
	if price := complexity.Calculate(ctx, l.schema, op.Operation, op.Variables); price > l.limits.Complexity {
		return refuse(fault.QueryTooComplex, "the operation's complexity of %d exceeds the limit of %d: ask for fewer entities (first) or in several operations", price, l.limits.Complexity)
	}
	return nil
}

func refuse(code fault.Code, format string, args ...any) *gqlerror.Error {
	err := gqlerror.Errorf(format, args...)
	err.Extensions = map[string]any{"code": string(code)}
	return err
}

// depthOf is how many fields nest in the selection, or anything above limit
// once that is exceeded.
func depthOf(set ast.SelectionSet, limit int) int {
	deepest := 0
	for _, s := range set {
		depth := 0
		switch s := s.(type) {
		case *ast.Field:
			if s.Name == "__schema" || s.Name == "__type" {
				continue // its depth is the schema's matter, not the data's
			}
			depth = 1
			if limit > 0 {
				depth += depthOf(s.SelectionSet, limit-1)
			}
		case *ast.InlineFragment:
			depth = depthOf(s.SelectionSet, limit)
		case *ast.FragmentSpread:
			depth = depthOf(s.Definition.SelectionSet, limit)
		}
		deepest = max(deepest, depth)
		if deepest > limit {
			return deepest
		}
	}
	return deepest
}
