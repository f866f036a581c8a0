package chaos

import (
	"syscall"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

const (
	// callLatency is how long the console takes for each call, so that the signal finds the operation there.
	callLatency = 500 * time.Millisecond
	// stopped is how long SIGSTOP lasts.
	stopped = time.Second
)

// startProcess starts a gateway as a process of its own.
func (w *world) startProcess(sim *consolesim.Server) {
	w.process = e2e.NewProcess(w.t, sim, w.redis.URL(), e2e.TokenKeys, "CONSOLEQL_CACHE=on", "CONSOLEQL_CONSOLE_TIMEOUT="+longTimeout.String(),
		"CONSOLEQL_CACHE_LIFE=robots="+lifetime.String(), "CONSOLEQL_CACHE_STALE_WHILE_REVALIDATE=robots=0s", "CONSOLEQL_POLL_INTERVAL=100ms")
	w.World = w.process.World
}

// send sends signals to the gateway while the console is asked.
func (w *world) send(signals ...syscall.Signal) {
	process := w.process.Cmd.Process
	w.failConsole(consolesim.Fault{Delay: callLatency})
	go func() {
		for w.faultedRequests() == 0 && w.t.Context().Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		for i, signal := range signals {
			if i > 0 {
				time.Sleep(stopped)
			}
			if err := process.Signal(signal); err != nil {
				w.t.Error(err)
			}
		}
	}()
}

func signalRows() []row {
	with := func(name string, want cells, signals ...syscall.Signal) row {
		return row{name: "gateway: " + name, needs: needs{process: true}, want: want, begin: func(w *world) {
			w.send(signals...)
			if signals[0] == syscall.SIGKILL || signals[0] == syscall.SIGTERM {
				w.onHeal(func() { w.startProcess(w.Sim) }) // callers go on with another one
			}
		}}
	}
	gone := cell{lost: true, calls: 1, executed: 1}
	killed := cells{list: gone, cached: gone, join: cell{lost: true, calls: 2}, mutation: gone, keyed: gone, upload: gone, stream: cell{lost: true, ended: true}}
	killed.keyed.again = conflict
	drained := works()
	drained.stream = killed.stream
	return []row{
		with("SIGKILL", killed, syscall.SIGKILL),
		with("SIGSTOP, then SIGCONT", works(), syscall.SIGSTOP, syscall.SIGCONT),
		with("SIGTERM", drained, syscall.SIGTERM),
		with("SIGHUP", works(), syscall.SIGHUP),
	}
}
