package trail

import "context"

// TraceMode says what a request wants to know of its operation.
type TraceMode uint8

// The modes.
const (
	Untraced  TraceMode = iota
	TraceRun            // the operation is run, and its calls are told
	TracePlan           // nothing is run
)

type traceModeKey struct{}

// WithTraceMode returns ctx with what its request wants to know.
func WithTraceMode(ctx context.Context, mode TraceMode) context.Context {
	return context.WithValue(ctx, traceModeKey{}, mode)
}

// TraceModeOf returns what the request of ctx wants to know.
func TraceModeOf(ctx context.Context) TraceMode {
	mode, _ := ctx.Value(traceModeKey{}).(TraceMode)
	return mode
}

type executedKey struct{}

// WithExecuted returns ctx of an operation that is executed.
func WithExecuted(ctx context.Context) context.Context {
	return context.WithValue(ctx, executedKey{}, true)
}

// Executed says whether the operation in ctx is executed. Before that, it may be refused.
func Executed(ctx context.Context) bool { return ctx.Value(executedKey{}) != nil }
