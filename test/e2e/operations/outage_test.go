package operations

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// answeredAs accepts answers for that user, or one of the errors.
func answeredAs(username string, answered *atomic.Int64, codes ...string) func(e2e.Answer) string {
	return func(a e2e.Answer) string {
		var data struct{ Viewer *struct{ UserName string } }
		if len(a.Data) > 0 && string(a.Data) != "null" {
			if err := json.Unmarshal(a.Data, &data); err != nil {
				return err.Error()
			}
		}
		switch {
		case data.Viewer != nil && data.Viewer.UserName != username:
			return fmt.Sprintf("%s is answered as %s", username, data.Viewer.UserName)
		case data.Viewer != nil:
			answered.Add(1)
			return ""
		case len(a.Errors) == 1 && slices.Contains(codes, a.Errors[0].Extensions.Code):
			return ""
		default:
			return fmt.Sprintf("%s: %+v", username, a.Errors)
		}
	}
}

// bodyOf returns a request's body, for a fault that depends on it.
func bodyOf(r *http.Request) string {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return ""
	}
	return string(body)
}

// TestRedisUnavailable stops Redis for ten seconds under load, then starts it empty. Tokens expire
// meanwhile. Service accounts and callers' own tokens get no error, sessions recover or end,
// and no caller acts as another.
func TestRedisUnavailable(t *testing.T) {
	t.Parallel()
	f := e2e.NewFleet(t, 2, consolesim.Options{TokenLifetime: 4 * time.Second})
	solo, restricted := f.Sim.Data().SoloUser(), f.Sim.Data().RestrictedUser()
	home := e2e.ScopeHeader(solo.CompanyIDs[0], "")
	session := e2e.MergeHeaders(f.Slots[0].Load().SignIn(solo), home)
	var service, bySession, own atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() {
		f.Load(ctx, 10, 100*time.Millisecond, nil, answeredAs("demo", &service))
	})
	wait.Go(func() {
		f.Load(ctx, 10, 100*time.Millisecond, session, answeredAs(solo.Username, &bySession, "UNAUTHENTICATED", "UPSTREAM_UNAVAILABLE"))
	})
	wait.Go(func() {
		for ctx.Err() == nil { // a caller refreshes its own token itself
			f.Ask(f.Slots[1].Load(), f.Slots[1].Load().TokenHeader(restricted.Username), answeredAs(restricted.Username, &own))
			time.Sleep(100 * time.Millisecond)
		}
	})
	phase := func(what string, d time.Duration, count *atomic.Int64) {
		t.Helper()
		before := count.Load()
		time.Sleep(d)
		if count.Load() == before {
			t.Errorf("%s: no answer in %v", what, d)
		}
	}
	phase("at first", 2*time.Second, &bySession)
	f.Redis.Stop()
	phase("without Redis", 10*time.Second, &service)
	f.Redis.Restart()
	phase("with Redis again", 6*time.Second, &bySession)
	f.Redis.RestartEmpty()
	phase("with an empty Redis", 6*time.Second, &service)

	// In either case, a new session works everywhere.
	fresh := f.Slots[1].Load().SignIn(solo)
	for i := range f.Slots {
		if a := f.Slots[i].Load().Ask(`{ viewer { userName } }`, e2e.Request{Header: e2e.MergeHeaders(fresh, home)}); !strings.Contains(string(a.Data), solo.Username) {
			t.Errorf("a new session is answered %s", a.Body)
		}
	}
	stop()
	wait.Wait()
	for said, n := range f.Errors {
		t.Errorf("%d callers got %s", n, said)
	}
	if own.Load() < 10 {
		t.Errorf("%d answers to a caller with its own token", own.Load())
	}
	if _, _, _, reused := f.Grants(); reused > 0 {
		t.Errorf("%d refresh tokens were used twice", reused)
	}
}

// TestKillAfterConsoleAnswer kills a gateway between the SSO's grant of a refresh and its
// storage. The service account logs in again at the next gateway, and the session ends.
// Neither refresh token is used twice.
func TestKillAfterConsoleAnswer(t *testing.T) {
	t.Parallel()
	f := e2e.NewFleet(t, 2, consolesim.Options{TokenLifetime: 3 * time.Second})
	solo := f.Sim.Data().SoloUser()
	first, second := f.Slots[0].Load(), f.Slots[1].Load()
	session := e2e.MergeHeaders(first.SignIn(solo), e2e.ScopeHeader(solo.CompanyIDs[0], ""))
	var answered atomic.Int64
	asDemo, asSolo := answeredAs("demo", &answered), answeredAs(solo.Username, &answered)
	f.Ask(first, nil, asDemo)
	f.Ask(first, session, asSolo)
	f.Sim.ResetGrants()
	// The SSO delays refreshes. The simulator completes one even if its client has left, as a
	// real SSO may.
	disarm := f.Sim.Fail(func(r *http.Request) bool {
		return r.URL.Path == "/connect/token" && strings.Contains(bodyOf(r), "grant_type=refresh_token")
	}, consolesim.Fault{Delay: time.Minute})
	defer disarm()
	var callers sync.WaitGroup
	asking := f.Sim.Counts()["POST /connect/token"] + 2
	for deadline := time.Now().Add(e2e.Timeout); f.Sim.Counts()["POST /connect/token"] < asking; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the tokens are not renewed")
		}
		callers.Go(func() { f.Ask(first, nil, asDemo) })
		callers.Go(func() { f.Ask(first, session, asSolo) })
	}
	f.Kill(0)
	callers.Wait()
	for deadline := time.Now().Add(e2e.Timeout); ; time.Sleep(20 * time.Millisecond) {
		if _, refreshes, _, _ := f.Grants(); refreshes == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the SSO does not grant what it was asked")
		}
	}
	disarm()
	// The old tokens serve until they expire. Then the account logs in, and the session is
	// over.
	for deadline := time.Now().Add(e2e.Timeout); ; time.Sleep(20 * time.Millisecond) {
		f.Ask(second, nil, asDemo)
		var over bool
		f.Ask(second, session, func(a e2e.Answer) string {
			over = len(a.Errors) == 1 && a.Errors[0].Extensions.Code == "UNAUTHENTICATED"
			if over {
				return ""
			}
			return asSolo(a)
		})
		if logins, _, _, _ := f.Grants(); over && logins > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after the end of the tokens: the session is over: %v", over)
		}
	}
	logins, _, refused, reused := f.Grants()
	// The gateway does not know of the lost grants, and sends the session's refresh token once
	// more.
	if logins != 1 || refused > 0 || reused > 1 {
		t.Errorf("%d logins, %d grants refused, %d refresh tokens used twice; want 1, 0, at most 1", logins, refused, reused)
	}
	f.Mu.Lock()
	defer f.Mu.Unlock()
	for said, n := range f.Errors {
		t.Errorf("%d callers got %s", n, said)
	}
}

// TestHangingSSOBlocksNoConsoleCall verifies that callers with a console token do not
// need the SSO.
func TestHangingSSOBlocksNoConsoleCall(t *testing.T) {
	t.Parallel()
	const places = 8
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) {
		s.ConsoleConcurrency, s.ConsoleTimeout = places, time.Hour
	})
	owner, _ := w.Sim.DefaultUser()
	caller := w.TokenHeader(owner)
	defer w.Sim.Fail(func(r *http.Request) bool { return r.URL.Path == "/connect/token" }, consolesim.Fault{Delay: time.Hour})()
	var signIns sync.WaitGroup
	defer signIns.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for i := range 300 {
		signIns.Go(func() {
			// Too many concurrent sign-ins are refused.
			_, _ = w.AskContext(ctx, e2e.SignInMutation, e2e.Request{Variables: map[string]any{"u": fmt.Sprint("user", i), "p": "p"}})
		})
	}
	e2e.Await(t, "sign-ins under way", func() bool { return w.Calls()["POST /connect/token"] > places })
	// No sign-in ends before the test does.
	asking, stop := context.WithTimeout(t.Context(), e2e.Timeout)
	defer stop()
	if a, err := w.AskContext(asking, `{ robots { totalCount } }`, e2e.Request{Header: caller}); err != nil || len(a.Errors) > 0 {
		t.Errorf("%s, %v", a.Body, err)
	}
}
