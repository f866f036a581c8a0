package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/buildinfo"
	"github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/edge"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/telemetry"
)

// observe connects the edge to metrics and traces.
func (g *Gateway) observe(o *edge.Options) {
	o.Observe = func(r edge.Request) {
		if !r.Stream {
			g.metrics.Request(r.Route, r.Method, r.Status, r.Duration)
		}
		if r.Refused != "" {
			g.metrics.Operation(telemetry.Operation{Client: clientOf(r.Principal), Codes: []string{r.Refused}})
		}
	}
	o.ObserveOperation = func(op edge.Operation) {
		g.metrics.Operation(telemetry.Operation{
			Client: clientOf(op.Principal), Type: op.Type, Name: op.Name, Codes: op.Codes,
			Executed: op.Duration > 0, Duration: op.Duration, ConsoleCalls: op.Calls,
		})
	}
	o.SlowOperation = g.settings.SlowOperation
	o.RouteMiddleware, o.Tracer = g.traces.Route, g.traces.Tracer()
	o.Access, o.Audit = g.openAccessLog(), g.audit
	o.LogClients = g.settings.AuditClient == "on"
	o.Proxies, _ = g.settings.proxies() // Validate has checked them
}

// logStart logs the address, the version and the settings that matter most when something goes wrong.
func (g *Gateway) logStart() {
	s, storage := g.settings, "memory"
	if g.redis != nil {
		storage = originOf(s.RedisURL)
	}
	var identity []string
	for mode, on := range map[string]bool{
		"token": true, "session": true, "api-key": g.keys != nil, "anonymous": s.Anonymous, "verified-token": g.verifier != nil,
	} {
		if on {
			identity = append(identity, mode)
		}
	}
	slices.Sort(identity)
	g.log.Info("listening", "address", g.public.Addr().String(), "url", g.URL(), "version", buildinfo.Read().Version,
		"console", originOf(s.ConsoleURL), "sso", originOf(s.SSOURL), "redis", storage, "cache", s.Cache, "identity", identity,
		"console_concurrency", s.ConsoleConcurrency, "max_console_calls", s.MaxConsoleCalls, "max_subscriptions", s.MaxSubscriptions)
}

// internalClient is the client of console calls that serve no caller.
const internalClient = "gateway"

// clientOf returns the name of a principal in metrics: that of its API key, else its kind. Callers choose neither. The name
// of a key that could be taken for another client has a prefix.
func clientOf(p principal.Principal) string {
	switch key := p.Key(); key {
	case "":
		return p.Credential().String()
	case principal.Anonymous.String(), principal.PassThrough.String(), principal.Session.String(), principal.Service.String(), internalClient, telemetry.Other:
		return "key:" + key
	default:
		return key
	}
}

// callerOf returns the client of a console call in metrics. Calls outside of a request without a principal are those of
// the gateway itself, such as logins of service accounts.
func callerOf(ctx context.Context) string {
	p := principal.FromContext(ctx)
	if p.Credential() == principal.Anonymous && accesslog.FromContext(ctx) == nil {
		return internalClient
	}
	return clientOf(p)
}

// originOf returns the scheme and host of a base URL without its credentials.
func originOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// observeCalls returns an observer that records console calls in metrics and log.
func (g *Gateway) observeCalls() func(context.Context, consoleclient.Call) {
	return func(ctx context.Context, c consoleclient.Call) {
		code := outcome(c)
		g.metrics.Call(callerOf(ctx), c.Operation, c.Status, code, c.Duration)
		g.components.observeCall(c)
		g.log.LogAttrs(ctx, slog.LevelDebug, "console call", slog.String("operation", c.Operation), slog.Int("status", c.Status),
			slog.Float64("duration_ms", accesslog.Milliseconds(c.Duration)), slog.String("code", code))
	}
}

// outcome returns the error code of a call, empty on success. A cancelled call has a code of its own, because it is
// not a failure.
func outcome(c consoleclient.Call) string {
	if errors.Is(c.Err, context.Canceled) {
		return "cancelled"
	}
	return string(fault.CodeOf(c.Err))
}

// traceCalls returns a function that traces console calls; nil if tracing is off.
func (g *Gateway) traceCalls() func(context.Context, string) (context.Context, func(consoleclient.Call)) {
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

// sendTracesTimeout bounds the wait for an unavailable collector at shutdown.
const sendTracesTimeout = 2 * time.Second

// sendTraces sends the last traces and ends tracing. Lost traces do not fail the shutdown.
func (g *Gateway) sendTraces(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, sendTracesTimeout)
	defer cancel()
	if err := g.traces.Close(ctx); err != nil {
		g.log.Warn("the last traces are lost", "error", err)
	}
}
