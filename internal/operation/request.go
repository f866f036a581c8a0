package operation

import (
	"context"
)

// TraceMode is the requested kind of trace.
type TraceMode uint8

// The trace modes.
const (
	Untraced  TraceMode = iota
	TraceRun            // executes the operation and reports its calls
	TracePlan           // executes nothing
)

type traceModeKey struct{}

// WithTraceMode returns ctx with the trace mode of its request.
func WithTraceMode(ctx context.Context, mode TraceMode) context.Context {
	return context.WithValue(ctx, traceModeKey{}, mode)
}

// TraceModeOf returns the trace mode of the request in ctx.
func TraceModeOf(ctx context.Context) TraceMode {
	mode, _ := ctx.Value(traceModeKey{}).(TraceMode)
	return mode
}

type executedKey struct{}

// WithExecuted marks ctx as that of an operation that is executed.
func WithExecuted(ctx context.Context) context.Context {
	return context.WithValue(ctx, executedKey{}, true)
}

// Executed reports whether the operation in ctx is executed. Before that, the operation may still be refused.
func Executed(ctx context.Context) bool { return ctx.Value(executedKey{}) != nil }
