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

// components are the components that the gateway needs and does not contain.
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

// register adds the components to the metrics.
func (cs *components) register(m *telemetry.Metrics) {
	for name, component := range map[string]*health.Component{"console": cs.console, "SSO": cs.sso, "Redis": cs.redis} {
		m.Component(name, func() bool {
			works, _ := component.State()
			return works
		})
	}
}

// observeCall records the outcome of a call that was sent. Only outages count: an answer of the peer shows that it works.
func (cs *components) observeCall(c consoleclient.Call) {
	component := cs.console
	if c.Operation == consoleclient.OpToken {
		component = cs.sso
	}
	switch code := fault.CodeOf(c.Err); {
	case errors.Is(c.Err, context.Canceled):
	case code == fault.UpstreamUnavailable || code == fault.UpstreamTimeout || code == fault.UpstreamInvalidResponse:
		component.Failed(callCause(c, code))
	default:
		component.Succeeded()
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

// account returns the component of a service account.
func (cs *components) account(name string) *health.Component {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	component := cs.accounts[name]
	if component == nil && !cs.closed {
		component = health.NewComponent("service account "+name, 1, 0, cs.log) // a refused password stays refused
		cs.accounts[name] = component
	}
	return component
}

// failingAccounts returns the failing accounts among names, with the causes.
func (cs *components) failingAccounts(known func(name string) bool) map[string]string {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	failing := make(map[string]string)
	for name, component := range cs.accounts {
		if works, cause := component.State(); !works && known(name) {
			failing[name] = cause
		}
	}
	return failing
}

func (cs *components) close() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.closed = true
	for _, component := range append(slices.Collect(maps.Values(cs.accounts)), cs.console, cs.sso, cs.redis) {
		component.Close()
	}
}

// observeLogin records a service account's attempt to log in. An SSO that is away is no fault of the account.
func (g *Gateway) observeLogin(account string, err error) {
	outcome, component := "granted", g.components.account(account)
	var failed *tokencache.GrantError
	switch {
	case err == nil:
		component.Succeeded()
	case errors.As(err, &failed) && failed.Reason != tokencache.Unavailable:
		outcome = string(failed.Reason)
		component.Failed("the SSO refuses the login: " + outcome)
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

// readiness returns the state of the gateway and of its components. Only a state that another replica may not share makes
// the gateway unready. All replicas have the same console, and all serve without Redis once they have reached it.
func (g *Gateway) readiness(ctx context.Context) edge.Readiness {
	r := edge.Readiness{Status: edge.OK, Causes: make(map[string]string)}
	state := func(name string, component *health.Component) edge.State {
		works, cause := component.State()
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
