package chaos

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/internal/tcpproxy"
	"github.com/consoleql/consoleql/test/e2e"
)

// world is a console, a gateway and what is between them, for one cell.
type world struct {
	*e2e.World
	t      *testing.T
	column column
	proxy  *tcpproxy.Proxy     // between the gateway and the console; nil: none
	redis  *redistest.Server   // nil: none
	group  *redistest.Topology // nil: none
	store  *tcpproxy.Proxy     // between the gateway and Redis; nil: none
	begin  func(*world)        // starts the fault

	process *e2e.Process // the gateway, where it is a process of its own
	ends    bool         // the fault ends a subscription

	mu      sync.Mutex
	heals   []func()
	faulted int // requests that met the fault
}

// needs are the parts of a world beside gateway and console. A gateway that is a process has a Redis.
type needs struct {
	proxy, redis, process bool
	http2                 bool // the proxy is in front of an https console
	sentinel              bool // a master with a replica and a Sentinel, without a proxy
}

// lifetime is how long the lists of robots and queues are fresh.
const lifetime = 50 * time.Millisecond

// newWorld starts the parts.
func newWorld(t *testing.T, col column, n needs, within time.Duration, o consolesim.Options, adjust func(*gateway.Settings)) *world {
	t.Helper()
	w := &world{t: t, column: col}
	if n.redis || n.process {
		w.redis = redistest.Start(t)
		w.store = tcpproxy.New(t, w.redis.Addr())
	}
	if n.process {
		w.startProcess(e2e.NewSim(t, o))
		return w
	}
	if n.sentinel {
		w.group = redistest.StartSentinel(t)
	}
	w.World = e2e.NewWorld(t, o, func(s *gateway.Settings, sim *consolesim.Server) {
		s.Cache = "on"
		s.ConsoleTimeout, s.ConsoleWriteTimeout, s.UploadTimeout = within, within, within
		s.ConsoleMaxResponseBytes = 1 << 20
		short := gateway.DurationsByKind{"robots": lifetime, "queues": lifetime}
		s.CacheLife, s.CacheStaleWhileRevalidate = short, gateway.DurationsByKind{"robots": 0, "queues": 0}
		s.CacheStaleIfError = gateway.DurationsByKind{"robots": time.Hour, "queues": time.Hour}
		s.OperationTimeout = 2 * longTimeout
		if n.proxy {
			w.proxy = tcpproxy.New(t, strings.TrimPrefix(sim.APIURL(), "http://"))
			s.ConsoleURL = "http://" + w.proxy.Addr()
		}
		if n.http2 {
			front := e2e.NewTLSProxy(t, sim.APIURL(), true)
			w.proxy = tcpproxy.New(t, front.Listener.Addr().String())
			s.ConsoleURL, s.ConsoleCAFile = "https://"+w.proxy.Addr(), front.CertificateFile(t)
		}
		if n.sentinel {
			s.RedisURL = w.group.URL
			s.TokenKeys = strings.TrimPrefix(e2e.TokenKeys, "CONSOLEQL_TOKEN_KEYS=")
		}
		if n.redis {
			s.RedisURL = "redis://" + w.store.Addr() + "/0"
			s.TokenKeys = strings.TrimPrefix(e2e.TokenKeys, "CONSOLEQL_TOKEN_KEYS=")
		}
		if adjust != nil {
			adjust(s)
		}
	})
	return w
}

// onHeal adds a function that ends the fault.
func (w *world) onHeal(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heals = append(w.heals, f)
}

// heal ends the fault.
func (w *world) heal() {
	w.mu.Lock()
	heals := w.heals
	w.heals = nil
	w.mu.Unlock()
	for _, f := range heals {
		f()
	}
}

// countFault counts a request that met the fault.
func (w *world) countFault() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faulted++
}

// faultedRequests returns how many requests met the fault.
func (w *world) faultedRequests() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.faulted
}

// failConsole arms a fault for all calls of the console. In a join it spares the list at the root.
func (w *world) failConsole(f consolesim.Fault) {
	w.onHeal(w.Sim.Fail(func(r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/connect/") || r.URL.Path == "/.well-known/openid-configuration" {
			return false
		}
		if w.column.healthyPath != "" && strings.EqualFold(r.URL.Path, w.column.healthyPath) {
			return false
		}
		w.countFault()
		return true
	}, f))
}

// failSSO arms a fault for all grants, and ends the tokens that were granted.
func (w *world) failSSO(f consolesim.Fault) {
	w.onHeal(w.Sim.Fail(func(r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/connect/") {
			return false
		}
		w.countFault()
		return true
	}, f))
	w.Sim.ExpireTokens()
}

// calls returns how often the console was called.
func (w *world) calls() (n int) {
	for operation, times := range w.Sim.Counts() {
		if !strings.Contains(operation, "/connect/") && operation != "PUT storage" {
			n += times
		}
	}
	return n
}
