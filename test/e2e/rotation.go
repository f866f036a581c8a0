package e2e

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/redistest"
)

// Fleet is a set of gateway processes with a common Redis and console, under load.
type Fleet struct {
	T     *testing.T
	Sim   *consolesim.Server
	Redis *redistest.Server
	env   []string
	Slots []atomic.Pointer[member]

	Answered, Lost atomic.Int64 // requests answered, and requests lost with their process
	Mu             sync.Mutex
	Errors         map[string]int
	Slowest        time.Duration
}

type member struct {
	*Process
	dead atomic.Bool
}

func NewFleet(t *testing.T, size int, o consolesim.Options, env ...string) *Fleet {
	t.Helper()
	sim, err := consolesim.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	f := &Fleet{T: t, Sim: sim, Redis: redistest.Start(t), env: append(env, TokenKeys), Slots: make([]atomic.Pointer[member], size), Errors: map[string]int{}}
	for i := range f.Slots {
		f.Start(i)
	}
	return f
}

// Start starts a process in a slot.
func (f *Fleet) Start(i int) {
	f.T.Helper()
	f.Slots[i].Store(&member{Process: NewProcess(f.T, f.Sim, f.Redis.URL(), f.env...)})
}

// Kill kills the process of a slot with SIGKILL.
func (f *Fleet) Kill(i int) {
	m := f.Slots[i].Load()
	m.dead.Store(true)
	_ = m.Cmd.Process.Kill()
}

// Load sends requests from concurrent callers to each process until the end of ctx. It returns
// when they have ended.
func (f *Fleet) Load(ctx context.Context, callers int, think time.Duration, header map[string]string, check func(Answer) string) {
	var wait sync.WaitGroup
	for n := range callers * len(f.Slots) {
		wait.Go(func() {
			for ctx.Err() == nil {
				f.Ask(f.Slots[n%len(f.Slots)].Load(), header, check)
				select {
				case <-time.After(think):
				case <-ctx.Done():
				}
			}
		})
	}
	wait.Wait()
}

const FleetQuery = `{ viewer { userName } }`

// Ask sends FleetQuery to a process. check returns what is wrong with the answer; nil: there must be no error.
func (f *Fleet) Ask(m *member, header map[string]string, check func(Answer) string) {
	wrong := func() string {
		a, err := m.AskContext(context.Background(), FleetQuery, Request{Header: header})
		switch {
		case err != nil:
			return err.Error()
		case check != nil:
			return check(a)
		case len(a.Errors) > 0:
			return string(a.Body)
		}
		return ""
	}
	began := time.Now()
	said := wrong()
	f.Mu.Lock()
	defer f.Mu.Unlock()
	f.Slowest = max(f.Slowest, time.Since(began))
	switch {
	case said == "":
		f.Answered.Add(1)
	case m.dead.Load():
		f.Lost.Add(1)
	default:
		f.Errors[said]++
	}
}

// Grants counts the SSO's grants.
func (f *Fleet) Grants() (logins, refreshes, refused, reused int) {
	for _, g := range f.Sim.Grants() {
		switch {
		case g.Reused:
			reused++
		case g.Refused:
			refused++
		case g.Type == "password":
			logins++
		default:
			refreshes++
		}
	}
	return
}
