package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"

	"github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/edge"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/health"
	"github.com/consoleql/consoleql/internal/redisclient"
	"github.com/consoleql/consoleql/internal/telemetry"
	"github.com/consoleql/consoleql/internal/tokencache"
)

// components are the parts that the gateway needs and does not contain.
type components struct {
	log                 *slog.Logger
	console, sso, redis *health.Component

	mu       sync.Mutex
	accounts map[string]*health.Component // by name
	closed   bool
}

func newComponents(log *slog.Logger) *components {
	return &components{
		log:      log,
		console:  health.NewComponent("console", health.FailuresInRow, health.DefaultReset, log),
		sso:      health.NewComponent("SSO", health.FailuresInRow, health.DefaultReset, log),
		redis:    health.NewComponent("Redis", health.FailuresInRow, health.DefaultReset, log),
		accounts: make(map[string]*health.Component),
	}
}

// register adds the parts to the metrics.
func (p *components) register(m *telemetry.Metrics) {
	for name, part := range map[string]*health.Component{"console": p.console, "SSO": p.sso, "Redis": p.redis} {
		m.Component(name, func() bool {
			works, _ := part.State()
			return works
		})
	}
}

// observeCall records the outcome of a call that was sent. Only outages count: an answer of the peer shows that it works.
func (p *components) observeCall(c consoleclient.Call) {
	part := p.console
	if c.Operation == consoleclient.OpToken {
		part = p.sso
	}
	switch code := fault.CodeOf(c.Err); {
	case errors.Is(c.Err, context.Canceled):
	case code == fault.UpstreamUnavailable || code == fault.UpstreamTimeout || code == fault.UpstreamInvalidResponse:
		part.Failed(callCause(c, code))
	default:
		part.Succeeded()
	}
}

// callCause describes a failed call without data from the peer.
func callCause(c consoleclient.Call, code fault.Code) string {
	switch {
	case c.Status != 0 && code == fault.UpstreamInvalidResponse:
		return fmt.Sprintf("an answer with status %d that is not the console's", c.Status)
	case c.Status != 0:
		return fmt.Sprintf("status %d", c.Status)
	case code == fault.UpstreamTimeout:
		return "timed out"
	default:
		return telemetry.ConnectionCause(c.Err)
	}
}

// account returns the part of a service account.
func (p *components) account(name string) *health.Component {
	p.mu.Lock()
	defer p.mu.Unlock()
	part := p.accounts[name]
	if part == nil && !p.closed {
		part = health.NewComponent("service account "+name, 1, 0, p.log) // a refused password stays refused
		p.accounts[name] = part
	}
	return part
}

// failingAccounts returns the failing accounts among names, with the causes.
func (p *components) failingAccounts(known func(name string) bool) map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	failing := make(map[string]string)
	for name, part := range p.accounts {
		if works, cause := part.State(); !works && known(name) {
			failing[name] = cause
		}
	}
	return failing
}

func (p *components) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, part := range append(slices.Collect(maps.Values(p.accounts)), p.console, p.sso, p.redis) {
		part.Close()
	}
}

// observeLogin records a service account's attempt to log in. An SSO that is away is no fault of the account.
func (g *Gateway) observeLogin(account string, err error) {
	outcome, part := "granted", g.components.account(account)
	var failed *tokencache.GrantError
	switch {
	case err == nil:
		part.Succeeded()
	case errors.As(err, &failed) && failed.Reason != tokencache.Unavailable:
		outcome = string(failed.Reason)
		part.Failed("the SSO refuses the login: " + outcome)
	default:
		outcome = string(tokencache.Unavailable)
	}
	g.metrics.Grant(account, outcome)
}

// observeRedis records the outcome of a Redis command.
func (g *Gateway) observeRedis(err error) {
	if err == nil {
		g.components.redis.Succeeded()
		return
	}
	g.components.redis.Failed(redisclient.Cause(err))
}

// readiness returns the state of the gateway and of its parts. Only a state that another replica may not share makes
// the gateway unready. All replicas have the same console, and all serve without Redis once they have reached it.
func (g *Gateway) readiness(ctx context.Context) edge.Readiness {
	r := edge.Readiness{Status: edge.OK, Causes: make(map[string]string)}
	state := func(name string, part *health.Component) edge.State {
		works, cause := part.State()
		if works {
			return edge.OK
		}
		r.Causes[name] = cause
		r.Status = edge.Degraded
		return edge.Degraded
	}
	r.Console, r.SSO, r.Redis, r.Accounts = state("console", g.components.console), state("sso", g.components.sso), state("redis", g.components.redis), edge.OK
	for name, cause := range g.components.failingAccounts(g.Tokens.HasAccount) {
		r.Causes["account "+name] = cause
		r.Accounts, r.Status = edge.Degraded, edge.Degraded
	}
	if err := g.reachRedis(ctx); err != nil {
		r.Causes["redis"] = "never reached: " + redisclient.Cause(err)
		r.Redis, r.Status = edge.Failed, edge.Failed
	}
	if g.stopping.Load() {
		r.Causes["gateway"] = "it is stopping"
		r.Status = edge.Failed
	}
	return r
}

// reachRedis fails until Redis has replied once, because until then the settings may be wrong.
func (g *Gateway) reachRedis(ctx context.Context) error {
	if g.redis == nil || g.redisSeen.Load() {
		return nil
	}
	if err := g.redis.Ping(ctx).Err(); err != nil {
		return err //nolint:wrapcheck // ConnectionCause inspects it
	}
	g.redisSeen.Store(true)
	return nil
}

// adminHandler returns the handler of the admin listener.
func (g *Gateway) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", g.metrics.Handler())
	mux.Handle("GET /readyz", edge.ReadyHandler(g.readiness, true, g.log))
	return mux
}
