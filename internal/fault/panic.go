package fault

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// LogPanic logs the type and the stack of a recovered panic, but not its value, which may contain secrets. The deferred
// function that recovers must call it, so that the stack has the panic's origin.
func LogPanic(ctx context.Context, log *slog.Logger, message string, panicked any, attrs ...any) {
	log.ErrorContext(ctx, message, append(attrs, "type", fmt.Sprintf("%T", panicked), "stack", string(debug.Stack()))...) //nolint:sloglint // callers give constants
}
