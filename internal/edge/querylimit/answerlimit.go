package querylimit

import (
	"context"
	"errors"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/graph/sequential"
	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/bytepool"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
)

// answerLimits bounds the bytes, the values and the errors of each answer, including the
// events of subscriptions.
type answerLimits struct {
	limits sequential.Limits
	memory *bytepool.Pool
	wait   time.Duration
}

var _ interface {
	graphql.HandlerExtension
	graphql.ResponseInterceptor
	graphql.RootFieldInterceptor
} = answerLimits{}

// NewAnswerLimits returns the extension that bounds answers. Large ones take their memory from the pool; nil: there is no
// bound on all of them.
func NewAnswerLimits(l Limits, memory *bytepool.Pool) graphql.HandlerExtension {
	return answerLimits{sequential.Limits{Bytes: l.AnswerBytes, Values: l.AnswerValues}, memory, l.WithDefaults().Wait}
}

// ExtensionName is the name under which gqlgen knows the extension.
func (answerLimits) ExtensionName() string { return "AnswerLimits" }

// Validate accepts every schema.
func (answerLimits) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptResponse counts the values of the response. A response that is too large has no
// data and one error; a mutation's also has the errors of its fields.
func (l answerLimits) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	mutation := isMutation(ctx)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	exceed := cancel
	if mutation {
		exceed = nil // the following fields are executed nevertheless
	}
	ctx, share, take, release := l.begin(ctx)
	defer release()
	if err := take(documentBytes(ctx)); err != nil {
		return refused(ctx, err)
	}
	answer := sequential.NewAnswer(l.limits, exceed, take)
	errs := &errorCount{}
	ctx = sequential.NewContext(context.WithValue(ctx, errorCountKey{}, errs), answer)
	resp := next(ctx)
	if resp == nil {
		return nil
	}
	if share.Refused() && isQuery(ctx) {
		return refused(ctx, bytepool.Busy())
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
		resp.Errors = firstErrors(resp.Errors) // errors of the request, not of counted fields
		return resp
	}
	resp.Errors = errs.limit(resp.Errors)
	return resp
}

// begin returns how the operation in ctx takes memory. A mutation with files lasts as long as its client needs to send
// them. It takes its memory of requests, of which each caller has a share, and each of its console calls takes its own of the pool.
func (l answerLimits) begin(ctx context.Context) (_ context.Context, share *bytepool.Share, take func(bytes int) error, end func()) {
	if p, ok := graphqlhttp.ParametersOf(ctx); ok && len(p.Files) > 0 && isMutation(ctx) {
		reservation := graphqlhttp.ReservationOf(ctx)
		return bytepool.Without(ctx), nil, func(bytes int) error {
			if reservation.Take(bytes) != nil {
				return bytepool.Busy()
			}
			return nil
		}, func() {}
	}
	ctx, share, end = l.memory.Begin(ctx)
	return ctx, share, func(bytes int) error {
		ctx, cancel := context.WithTimeout(ctx, l.wait)
		defer cancel()
		return share.Take(ctx, bytes)
	}, end
}

const (
	// bytesPerField estimates the memory of a field during the execution: its node in the document, its collected form,
	// and its reads.
	bytesPerField = 4 << 10
	// maxDocumentBytes bounds that of a document, which is counted once while spreads of its fragments are many.
	maxDocumentBytes = 8 << 20
)

// documentBytes estimates the memory that the operation in ctx needs besides its answer. A subscription keeps it between
// events; its quota counts instead.
func documentBytes(ctx context.Context) int {
	if !graphql.HasOperationContext(ctx) || isA(ctx, ast.Subscription) {
		return 0
	}
	return min(fieldsOf(graphql.GetOperationContext(ctx))*bytesPerField, maxDocumentBytes)
}

// refused returns the answer of an operation for which there is no memory.
func refused(ctx context.Context, err error) *graphql.Response {
	if !errors.Is(err, bytepool.ErrBusy) {
		return &graphql.Response{Errors: gqlerror.List{tooLarge(err, "")}}
	}
	refusal := apierror.RefusalOf(bytepool.Busy())
	if isMutation(ctx) {
		refusal.Extensions["outcome"] = fault.NotSent
	}
	return &graphql.Response{Errors: gqlerror.List{refusal}}
}

// InterceptRootField returns null for a mutation's field whose payload is too large. Its
// change and those of the following fields are made.
func (l answerLimits) InterceptRootField(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
	if errs, ok := ctx.Value(errorCountKey{}).(*errorCount); ok {
		errs.executed = true
	}
	m := next(ctx)
	answer := sequential.FromContext(ctx)
	if !isMutation(ctx) || answer.Err() == nil {
		return m
	}
	err := answer.Err()
	answer.Resume()
	field := graphql.GetRootFieldContext(ctx).Field
	graphql.AddError(graphql.WithFieldContext(ctx, &graphql.FieldContext{Object: "Mutation", Field: field}), tooLarge(err, fault.Done))
	return graphql.Null
}

func isMutation(ctx context.Context) bool { return isA(ctx, ast.Mutation) }

func isQuery(ctx context.Context) bool { return isA(ctx, ast.Query) }

func isA(ctx context.Context, kind ast.Operation) bool {
	if !graphql.HasOperationContext(ctx) {
		return false
	}
	op := graphql.GetOperationContext(ctx)
	return op.Operation != nil && op.Operation.Operation == kind
}

// tooLarge returns the error of an answer that is too large. For a mutation, it contains the
// outcome of the change.
func tooLarge(err error, outcome fault.Outcome) *gqlerror.Error {
	var gqlErr *gqlerror.Error
	switch code := fault.CodeOf(err); {
	case code != fault.QueryTooComplex && code != fault.RateLimited:
		gqlErr = apierror.Refusal(fault.Internal, "the request was cancelled%s", apierror.Consequence(outcome))
	case outcome == fault.Done:
		gqlErr = apierror.Refusal(code, "the change was made, but %s", err.Error())
	default:
		gqlErr = apierror.Refusal(code, "%s%s", err.Error(), apierror.Consequence(outcome))
	}
	if outcome != "" {
		gqlErr.Extensions["outcome"] = outcome
	}
	return gqlErr
}

// maxErrors bounds the errors of an answer. One more error has the number of omitted ones.
const maxErrors = 100

type errorCountKey struct{}

// errorCount counts the errors of one response, of which it lists the first. One goroutine
// presents them, and executes a mutation's fields.
type errorCount struct {
	executed bool // a root field was executed

	listed  int
	omitted int
	code    fault.Code // code of the first omitted error
}

// admit reports whether one more error is listed, and counts it otherwise.
func (c *errorCount) admit(code fault.Code) bool {
	if c == nil {
		return true
	}
	if c.listed < maxErrors {
		c.listed++
		return true
	}
	c.omitted++
	if c.code == "" {
		c.code = code
	}
	return false
}

// LimitErrors presents errors by next until the limit, and counts the others. It ignores those
// of an answer that has become too large.
func LimitErrors(next graphql.ErrorPresenterFunc) graphql.ErrorPresenterFunc {
	return func(ctx context.Context, err error) *gqlerror.Error {
		errs, _ := ctx.Value(errorCountKey{}).(*errorCount)
		if errs != nil && (sequential.FromContext(ctx).Err() != nil || !errs.admit(fault.CodeOf(err))) {
			return nil //nolint:nilerr // the error is only counted
		}
		return next(ctx, err)
	}
}

// limit appends an error with the number of omitted errors.
func (c *errorCount) limit(errs gqlerror.List) gqlerror.List {
	if c.omitted == 0 {
		return errs
	}
	return append(errs, omittedErrors(c.code, c.omitted))
}

// firstErrors returns the errors of a request that was not executed, at most maxErrors. One
// more error has the number of omitted ones. Validation counts its omitted errors itself,
// since their texts are expensive, and marks that error by ruleRest.
func firstErrors(errs gqlerror.List) gqlerror.List {
	if len(errs) <= maxErrors || errs[maxErrors].Rule == ruleRest {
		return errs
	}
	return append(errs[:maxErrors:maxErrors], omittedErrors(fault.Code(apierror.ExtensionCode(errs[maxErrors])), len(errs)-maxErrors))
}

// omittedErrors returns the error that reports omitted errors.
func omittedErrors(code fault.Code, n int) *gqlerror.Error {
	return apierror.Refusal(code, "%d more errors are not listed", n)
}
