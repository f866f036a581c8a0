package edge

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/responsecache"
)

// Operation describes an operation that was executed or refused, or one event of a
// subscription.
type Operation struct {
	// Summary describes the operation and its answer. Its Type is empty if the document was
	// refused.
	operation.Summary
	// Duration is the time from the request to the answer; 0 for an event and for a refused
	// operation.
	Duration time.Duration
	// Principal is the caller.
	Principal principal.Principal
}

// operations records the outcome of each operation: in its state, in metrics, in the log if it
// was slow, and as a span.
type operations struct {
	observe func(Operation) // may be nil
	slow    time.Duration
	tracer  trace.Tracer // nil: no spans
	// expiredSince is called before an execution. It returns a function that reports whether data
	// newer than the answer's may have been sent to a subscriber meanwhile; nil: never.
	expiredSince func() func(responsecache.Dependency) bool
	log          *slog.Logger
}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationInterceptor
	graphql.ResponseInterceptor
} = operations{}

// ExtensionName is the name under which gqlgen knows the extension.
func (operations) ExtensionName() string { return "Operations" }

// Validate accepts every schema.
func (operations) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptOperation marks the operation as executed and starts its span. Subscriptions have
// no span: they last as long as their clients, and share their polls.
func (o operations) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	ctx = operation.WithExecuted(ctx)
	op := graphql.GetOperationContext(ctx)
	switch op.Operation.Operation {
	case ast.Query:
		next = o.repeatOutdated(next)
	case ast.Subscription:
		begun := describe(op) // it may end without an event
		accesslog.FromContext(ctx).Executed(&begun)
	case ast.Mutation:
	}
	if o.tracer == nil || op.Operation.Operation == ast.Subscription {
		return next(ctx)
	}
	ctx, span := o.tracer.Start(ctx, string(op.Operation.Operation), trace.WithTimestamp(op.Stats.OperationStart))
	responses := next(ctx)
	return func(ctx context.Context) *graphql.Response {
		defer span.End()
		return responses(ctx)
	}
}

// maxRepeats bounds how often a query is executed again. Each repetition follows an event that
// was sent during the execution.
const maxRepeats = 3

// repeatOutdated executes a query again if its answer is older than an event that its principal got
// meanwhile.
func (o operations) repeatOutdated(next graphql.OperationHandler) graphql.OperationHandler {
	if o.expiredSince == nil {
		return next
	}
	return func(begun context.Context) graphql.ResponseHandler {
		a := &attempts{expired: o.expiredSince()}
		responses := next(begun)
		return func(ctx context.Context) *graphql.Response {
			state := operation.FromContext(ctx)
			if state == nil { // over a WebSocket, the context has none
				state = operation.New(operation.ReadOptions{Batches: operation.TraceModeOf(ctx) != operation.Untraced})
				ctx = operation.NewContext(ctx, state)
			}
			ctx = context.WithValue(ctx, attemptsKey{}, a)
			resp := responses(ctx)
			for a.outdated {
				a.outdated, a.expired = false, o.expiredSince()
				state.Restart()
				responses = next(begun)
				resp = responses(ctx)
			}
			return resp
		}
	}
}

// attempts counts the executions of one query.
type attempts struct {
	expired  func(responsecache.Dependency) bool // of the last execution
	count    int
	outdated bool // the last answer is outdated and must not be sent
}

type attemptsKey struct{}

// executeAgain reports whether the query in ctx must be executed again instead of answered by
// resp.
func executeAgain(ctx context.Context, resp *graphql.Response) bool {
	a, ok := ctx.Value(attemptsKey{}).(*attempts)
	if !ok || resp == nil || resp.HasNext != nil || a.count == maxRepeats || !a.expired(operation.FromContext(ctx).Dependency()) {
		return false
	}
	a.count++
	a.outdated = true
	return true
}

// InterceptResponse records the answer. It adds an operation state to the context if there is
// none, as over a WebSocket and for each event of a subscription.
func (o operations) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	var op *graphql.OperationContext
	if graphql.HasOperationContext(ctx) { // otherwise the operation was refused earlier
		op = graphql.GetOperationContext(ctx)
	}
	known := op != nil && op.Operation != nil
	once := known && op.Operation.Operation != ast.Subscription
	if known && operation.FromContext(ctx) == nil {
		ctx = operation.NewContext(ctx, operation.New(operation.ReadOptions{Batches: operation.TraceModeOf(ctx) != operation.Untraced}))
	}
	resp := next(ctx)
	if executeAgain(ctx, resp) {
		return resp
	}
	if once {
		operation.FromContext(ctx).SetResult(op.Operation.Operation == ast.Query, resp == nil || len(resp.Errors) > 0)
	}
	if resp == nil {
		return nil
	}
	var done Operation
	cancelled := errors.Is(ctx.Err(), context.Canceled)
	if known {
		done.Summary = describe(op)
	}
	if !cancelled { // otherwise the client has left
		done.Codes = codes(resp.Errors)
	}
	state := operation.FromContext(ctx)
	if once { // a subscription has many events
		done.Calls = state.Calls()
	}
	state.SetSummary(&done.Summary)
	accesslog.FromContext(ctx).Executed(&done.Summary)
	if once && operation.Executed(ctx) {
		done.Duration = time.Since(op.Stats.OperationStart)
		o.record(ctx, done, cancelled)
	}
	if o.observe != nil && !cancelled {
		done.Principal = principal.FromContext(ctx)
		o.observe(done)
	}
	return resp
}

// statsSummary is the key of an operation's description in its statistics, where gqlgen keeps
// data of extensions.
const statsSummary = "consoleql.summary"

// describe is operation.Describe, computed once for all events of a subscription.
func describe(op *graphql.OperationContext) operation.Summary {
	s, ok := op.Stats.GetExtension(statsSummary).(operation.Summary)
	if !ok {
		s = operation.Describe(op)
		op.Stats.SetExtension(statsSummary, s)
	}
	return s
}

// record writes an operation to the log and its span. It never writes the text or the
// variables, which may hold passwords.
func (o operations) record(ctx context.Context, done Operation, cancelled bool) {
	level := slog.LevelDebug
	if o.slow > 0 && done.Duration >= o.slow {
		level = slog.LevelWarn
	}
	span, logged := trace.SpanFromContext(ctx), o.log.Enabled(ctx, level)
	if !logged && !span.IsRecording() {
		return
	}
	if logged {
		attrs := []slog.Attr{
			slog.String("type", done.Type), slog.String("name", done.Name), slog.String("document", done.Document),
			slog.Float64("duration_ms", accesslog.Milliseconds(done.Duration)), slog.Int("console_calls", done.Calls), slog.Any("codes", done.Codes),
			slog.Bool("cancelled", cancelled), slog.String("as", principal.FromContext(ctx).Credential().String()),
		}
		if s := span.SpanContext(); s.IsValid() {
			attrs = append(attrs, slog.String("trace_id", s.TraceID().String()))
		}
		if level == slog.LevelWarn {
			o.log.LogAttrs(ctx, level, "slow operation", attrs...)
		} else {
			o.log.LogAttrs(ctx, level, "operation", attrs...)
		}
	}
	span.SetAttributes(attribute.String("graphql.operation.type", done.Type), attribute.String("graphql.operation.name", done.Name),
		attribute.String("consoleql.document.sha256", done.Document), attribute.Int("consoleql.console_calls", done.Calls), attribute.StringSlice("consoleql.error_codes", done.Codes))
	if slices.ContainsFunc(done.Codes, isServerError) {
		span.SetStatus(otelcodes.Error, "")
	}
}

// isServerError reports whether the code is a fault of the server or the console, and not of the
// caller.
func isServerError(code string) bool {
	switch fault.Code(code) {
	case fault.Internal, fault.UpstreamUnavailable, fault.UpstreamTimeout, fault.UpstreamInvalidResponse:
		return true
	default:
		return false
	}
}

// codes returns the distinct codes of errors, in the order of their first occurrence.
func codes(errs gqlerror.List) []string {
	var all []string
	for _, err := range errs {
		if code := apierror.ExtensionCode(err); !slices.Contains(all, code) {
			all = append(all, code)
		}
	}
	return all
}
