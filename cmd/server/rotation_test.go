package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/redistest"
)

// The size of the rotation tests; `make rotation` makes it the whole one.
var (
	expiries   = flag.Int("expiries", 6, "through how many expiries of a token the rotation tests go")
	tokenLife  = flag.Duration("token-life", 2*time.Second, "how long a token of the rotation tests lives, in whole seconds")
	thinkTime  = flag.Duration("think-time", 200*time.Millisecond, "how long a caller of the rotation tests pauses between two requests")
	killPeriod = flag.Duration("kill-period", 5*time.Second, "how often a process of the rotation tests is killed")
)

// fleet are gateway processes that share a Redis and a console, under load.
type fleet struct {
	t     *testing.T
	sim   *consolesim.Server
	redis *redistest.Server
	env   []string
	slots []atomic.Pointer[member]

	asked, lost atomic.Int64 // requests answered; those that died with their process
	mu          sync.Mutex
	errors      map[string]int
	slowest     time.Duration
}

type member struct {
	*process
	dead atomic.Bool
}

func newFleet(t *testing.T, size int, o consolesim.Options, env ...string) *fleet {
	t.Helper()
	sim, err := consolesim.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	f := &fleet{t: t, sim: sim, redis: redistest.Start(t), env: append(env, tokenKeys), slots: make([]atomic.Pointer[member], size), errors: map[string]int{}}
	for i := range f.slots {
		f.start(i)
	}
	return f
}

// start puts a new process into a slot.
func (f *fleet) start(i int) {
	f.t.Helper()
	f.slots[i].Store(&member{process: newProcess(f.t, f.sim, f.redis.URL(), f.env...)})
}

// kill ends the process of a slot without a word, by SIGKILL.
func (f *fleet) kill(i int) {
	m := f.slots[i].Load()
	m.dead.Store(true)
	_ = m.cmd.Process.Kill()
}

// load lets callers ask each process until ctx is done. It returns when they have ended.
func (f *fleet) load(ctx context.Context, callers int, think time.Duration, header map[string]string, check func(answer) string) {
	var wait sync.WaitGroup
	for n := range callers * len(f.slots) {
		wait.Go(func() {
			for ctx.Err() == nil {
				f.ask(f.slots[n%len(f.slots)].Load(), header, check)
				select {
				case <-time.After(think):
				case <-ctx.Done():
				}
			}
		})
	}
	wait.Wait()
}

const fleetQuery = `{"query":"{ viewer { userName } }"}`

func (f *fleet) ask(m *member, header map[string]string, check func(answer) string) {
	wrong := func() string {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, m.url+"/graphql", strings.NewReader(fleetQuery))
		if err != nil {
			return err.Error()
		}
		req.Header.Set("Content-Type", "application/json")
		for name, value := range header {
			req.Header.Set(name, value)
		}
		resp, err := m.http.Do(req)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return err.Error()
		}
		var a answer
		if err := json.NewDecoder(bytes.NewReader(body)).Decode(&a); err != nil {
			return err.Error()
		}
		if len(a.Errors) > 0 && check == nil {
			return string(body)
		}
		if check != nil {
			return check(a)
		}
		return ""
	}
	began := time.Now()
	said := wrong()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.slowest = max(f.slowest, time.Since(began))
	switch {
	case said == "":
		f.asked.Add(1)
	case m.dead.Load():
		f.lost.Add(1)
	default:
		f.errors[said]++
	}
}

// granted counts what the SSO has granted.
func (f *fleet) granted() (logins, refreshes, refused, reused int) {
	for _, g := range f.sim.Grants() {
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

// TestTokensRotateOnce lets four processes with fifty callers each ask through
// expiries of their token. Each expiry costs one refresh, no refresh token is
// used twice, and no caller sees an error.
func TestTokensRotateOnce(t *testing.T) { rotate(t, 0) }

// TestTokensRotateThroughKills kills a process every few seconds, at whatever it
// is: a kill costs at most one login, and no error but on the process killed.
func TestTokensRotateThroughKills(t *testing.T) { rotate(t, *killPeriod) }

func rotate(t *testing.T, period time.Duration) {
	const processes, callers = 4, 50
	f := newFleet(t, processes, consolesim.Options{TokenLifetime: *tokenLife})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	began := time.Now()
	f.sim.ResetGrants()
	loaded := make(chan struct{})
	go func() {
		defer close(loaded)
		f.load(ctx, callers, *thinkTime, nil, nil)
	}()
	kills, next := 0, began.Add(period)
	deadline := began.Add(time.Minute + time.Duration(*expiries)*3**tokenLife)
	for {
		if _, refreshes, _, _ := f.granted(); refreshes >= *expiries {
			break
		}
		if time.Now().After(deadline) {
			t.Error("the tokens do not rotate")
			break
		}
		if period > 0 && time.Now().After(next) {
			f.kill(kills % processes)
			f.start(kills % processes)
			kills++
			next = next.Add(period)
		}
		time.Sleep(20 * time.Millisecond)
	}
	stop()
	<-loaded
	elapsed := time.Since(began)
	logins, refreshes, refused, reused := f.granted()
	t.Logf("%v: %d answers, slowest %v, %d kills with %d requests on them; %d logins, %d refreshes, %d refused, %d reused",
		elapsed.Round(time.Millisecond), f.asked.Load(), f.slowest.Round(time.Millisecond), kills, f.lost.Load(), logins, refreshes, refused, reused)
	for said, n := range f.errors {
		t.Errorf("%d callers were told %s", n, said)
	}
	if reused > 0 || refused > 0 {
		t.Errorf("%d refresh tokens were used twice, %d grants refused", reused, refused)
	}
	// The first login was before the grants were counted, or is among them.
	if logins > kills {
		t.Errorf("%d logins after %d kills", logins, kills)
	}
	// A token is renewed at four fifths of its life at the earliest: more grants
	// than that would be two for one expiry.
	if most := int(elapsed/(*tokenLife*78/100)) + 1; logins+refreshes > most {
		t.Errorf("%d grants in %v, want at most %d", logins+refreshes, elapsed, most)
	}
	if f.asked.Load() < int64(processes*callers) {
		t.Errorf("only %d answers", f.asked.Load())
	}
}
