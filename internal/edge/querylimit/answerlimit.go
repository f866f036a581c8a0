package querylimit

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/graph/sequential"
	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/fault"
)

// largeAnswers bounds the answers beyond sequential.SmallBytes that are collected at once, in
// the whole gateway: each may need some 50 MiB until it is written.
const largeAnswers = 8

// answerLimits bounds the bytes, the values and the errors of each answer, an event of a
// subscription included.
type answerLimits struct {
	limits sequential.Limits
	large  chan struct{} // holds an element for each large answer
}

var _ interface {
	graphql.HandlerExtension
	graphql.ResponseInterceptor
	graphql.RootFieldInterceptor
} = answerLimits{}

// NewAnswerLimits returns the extension that bounds answers.
func NewAnswerLimits(l Limits) graphql.HandlerExtension {
	return answerLimits{
		limits: sequential.Limits{Bytes: l.AnswerBytes, Values: l.AnswerValues},
		large:  make(chan struct{}, largeAnswers),
	}
}

// ExtensionName is the name under which gqlgen knows the extension.
func (answerLimits) ExtensionName() string { return "AnswerLimits" }

// Validate has nothing to object to any schema.
func (answerLimits) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptResponse counts what the response is collected into. A response that is too large
// has no data and one error; that of a mutation has the errors of its fields as well.
func (x answerLimits) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	mutation := isMutation(ctx)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	exceed := cancel
	if mutation {
		exceed = nil // the fields that follow are carried out all the same
	}
	large := false
	defer func() {
		if large {
			<-x.large
		}
	}()
	answer := sequential.NewAnswer(x.limits, exceed, func() error {
		select {
		case x.large <- struct{}{}:
			large = true
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	errs := &errorCount{}
	ctx = sequential.NewContext(context.WithValue(ctx, errorCountKey{}, errs), answer)
	resp := next(ctx)
	if resp == nil {
		return nil
	}
	if err := answer.Err(); err != nil {
		resp.Data = []byte("null")
		switch {
		case !mutation:
			resp.Errors = gqlerror.List{tooLarge(err, "")}
		case !errs.executed:
			resp.Errors = gqlerror.List{tooLarge(err, fault.NotSent)}
		default:
			resp.Errors = errs.limit(append(gqlerror.List{tooLarge(err, fault.Done)}, resp.Errors...))
		}
		return resp
	}
	if resp.Data == nil {
		resp.Errors = firstErrors(resp.Errors) // those of the request, not of fields that were counted
		return resp
	}
	resp.Errors = errs.limit(resp.Errors)
	return resp
}

// InterceptRootField makes null of a mutation's field whose payload is too large. The
// change was made, and those of the next fields are made.
func (x answerLimits) InterceptRootField(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
	if errs, ok := ctx.Value(errorCountKey{}).(*errorCount); ok {
		errs.executed = true
	}
	m := next(ctx)
	answer := sequential.From(ctx)
	if !isMutation(ctx) || answer.Err() == nil {
		return m
	}
	err := answer.Err()
	answer.Resume()
	field := graphql.GetRootFieldContext(ctx).Field
	graphql.AddError(graphql.WithFieldContext(ctx, &graphql.FieldContext{Object: "Mutation", Field: field}), tooLarge(err, fault.Done))
	return graphql.Null
}

func isMutation(ctx context.Context) bool {
	if !graphql.HasOperationContext(ctx) {
		return false
	}
	op := graphql.GetOperationContext(ctx)
	return op.Operation != nil && op.Operation.Operation == ast.Mutation
}

// tooLarge tells the caller why the answer ends and, of a mutation, what became of the change.
func tooLarge(err error, outcome fault.Outcome) *gqlerror.Error {
	var told *gqlerror.Error
	switch code := fault.CodeOf(err); {
	case code != fault.QueryTooComplex:
		told = apierror.Refusal(fault.Internal, "the request was cancelled%s", apierror.Consequence(outcome))
	case outcome == fault.Done:
		told = apierror.Refusal(code, "the change was made, but %s", err.Error())
	default:
		told = apierror.Refusal(code, "%s%s", err.Error(), apierror.Consequence(outcome))
	}
	if outcome != "" {
		told.Extensions["outcome"] = outcome
	}
	return told
}

// maxErrors bounds the errors that are listed in an answer; one more tells how many were left out.
const maxErrors = 100

type errorCountKey struct{}

// errorCount counts the errors of one response, of which the first are listed. The errors of
// a response are presented by one goroutine, which executes a mutation's fields as well.
type errorCount struct {
	executed bool // one of the root fields

	told int
	left int
	code fault.Code // of the first error that was left out
}

// admit says whether one more error is listed; else it is counted.
func (c *errorCount) admit(code fault.Code) bool {
	if c == nil {
		return true
	}
	if c.told < maxErrors {
		c.told++
		return true
	}
	c.left++
	if c.code == "" {
		c.code = code
	}
	return false
}

// LimitErrors presents the errors that are listed, by next, and counts the others. Those of an answer that
// has become too large are neither.
func LimitErrors(next graphql.ErrorPresenterFunc) graphql.ErrorPresenterFunc {
	return func(ctx context.Context, err error) *gqlerror.Error {
		errs, _ := ctx.Value(errorCountKey{}).(*errorCount)
		if errs != nil && (sequential.From(ctx).Err() != nil || !errs.admit(fault.CodeOf(err))) {
			return nil //nolint:nilerr // the error is counted rather than listed
		}
		return next(ctx, err)
	}
}

// limit appends the error that tells how many were left out.
func (c *errorCount) limit(errs gqlerror.List) gqlerror.List {
	if c.left == 0 {
		return errs
	}
	return append(errs, leftOut(c.code, c.left))
}

// firstErrors are the errors of a request that was not executed, at most maxErrors and one that
// tells how many were left out. Validation stops listing errors earlier, as their texts are
// expensive, and counts the rest itself: ruleRest marks its count.
func firstErrors(errs gqlerror.List) gqlerror.List {
	if len(errs) <= maxErrors || errs[maxErrors].Rule == ruleRest {
		return errs
	}
	return append(errs[:maxErrors:maxErrors], leftOut(fault.Code(apierror.ExtensionCode(errs[maxErrors])), len(errs)-maxErrors))
}

// leftOut is the error that stands for those that are not listed.
func leftOut(code fault.Code, n int) *gqlerror.Error {
	return apierror.Refusal(code, "%d more errors are not listed", n)
}
