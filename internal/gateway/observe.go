package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/edge"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/telemetry"
)

// observe has the edge tell what the operator sees.
func (g *gateway) observe(o *edge.Options, metrics *telemetry.Metrics) {
	o.Observe = func(r edge.Request) { metrics.Request(r.Route, r.Method, r.Status, r.Duration) }
	o.ObserveOperation = func(op edge.Operation) { metrics.Operation(op.Type, op.Duration, op.Codes...) }
	o.SlowOperation = g.settings.SlowOperation
	o.Around, o.Tracer = g.traces.Route("/graphql"), g.traces.Tracer()
}

// observeCalls tells the operator of the calls of the console.
func (g *gateway) observeCalls(metrics *telemetry.Metrics) func(consoleclient.Call) {
	return func(c consoleclient.Call) {
		code := outcome(c)
		metrics.Call(c.Operation, c.Status, code, c.Duration)
		g.log.Debug("console call", "operation", c.Operation, "status", c.Status, "duration", c.Duration, "code", code)
	}
}

// outcome is the code of a call's error, empty for none. A call that nobody waits for any more
// is nobody's failure, and has no code of the contract.
func outcome(c consoleclient.Call) string {
	if errors.Is(c.Err, context.Canceled) {
		return "cancelled"
	}
	return string(fault.CodeOf(c.Err))
}

// traceCalls gives calls of the console their spans; nil where there are none.
func (g *gateway) traceCalls() func(context.Context, string) (context.Context, func(consoleclient.Call)) {
	if g.traces == nil {
		return nil
	}
	return func(ctx context.Context, operation string) (context.Context, func(consoleclient.Call)) {
		ctx, end := g.traces.Call(ctx, operation)
		if end == nil {
			return ctx, nil
		}
		return ctx, func(c consoleclient.Call) { end(c.Status, outcome(c)) }
	}
}

// sendTracesTimeout bounds how long the end of the process waits for a collector that is away.
const sendTracesTimeout = 2 * time.Second

// sendTraces ends the traces and sends the last ones. That they are lost is no reason to say
// that the gateway did not stop well.
func (g *gateway) sendTraces(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, sendTracesTimeout)
	defer cancel()
	if err := g.traces.Close(ctx); err != nil {
		g.log.Warn("the last traces are lost", "error", err)
	}
}
