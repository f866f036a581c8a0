package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/redistest"
)

const signInMutation = `mutation($u: String!, $p: String!) { signIn(input: {username: $u, password: $p}) { sessionToken expiresAt viewer { userName company { id } assignedDepartment { id } } } }`

type signInAnswer struct {
	SignIn struct {
		SessionToken string
		ExpiresAt    time.Time
		Viewer       *struct {
			UserName           string
			Company            struct{ ID string }
			AssignedDepartment struct{ ID string }
		}
	}
}

func login(u consolesim.User) map[string]any {
	return map[string]any{"u": u.Username, "p": u.Password}
}

// signIn begins a session of the user's and returns the headers that show it.
func (w *world) signIn(u consolesim.User) map[string]string {
	w.t.Helper()
	a := w.ask(signInMutation, request{variables: login(u), header: in(u.CompanyIDs[0], "")})
	if len(a.Errors) > 0 {
		w.t.Fatalf("%s cannot sign in: %s", u.Username, a.Body)
	}
	return bearer(decode[signInAnswer](w.t, a.Data).SignIn.SessionToken)
}

func bearer(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token}
}

func TestSignIn(t *testing.T) { eitherWay(t, signInAndOut) }

func signInAndOut(t *testing.T, caching func(*settings, *consolesim.Server)) {
	w := newWorld(t, consolesim.Options{}, strict, noDefault, caching)
	u := w.sim.Data().SoloUser()
	company := u.CompanyIDs[0]
	w.sim.ResetCounts()
	a := w.ask(signInMutation, request{variables: login(u)})
	if len(a.Errors) > 0 {
		t.Fatalf("answered %s", a.Body)
	}
	got := decode[signInAnswer](t, a.Data).SignIn
	if got.Viewer == nil || got.Viewer.UserName != u.Username || got.Viewer.Company.ID != company || got.Viewer.AssignedDepartment.ID != u.Assigned[company] {
		t.Errorf("the viewer is %s", a.Data)
	}
	if !strings.HasPrefix(got.SessionToken, "cqs_") || time.Until(got.ExpiresAt) > time.Hour || time.Until(got.ExpiresAt) < 50*time.Minute {
		t.Errorf("a session until %v", got.ExpiresAt)
	}
	if diff := cmp.Diff(counts{"POST /connect/token": 1, companies: 1, self: 1, tree: 1}, w.calls()); diff != "" {
		t.Error(diff)
	}
	session := bearer(got.SessionToken)
	w.answersOf(company, u.Assigned[company], request{header: session})
	if strings.Contains(w.logs.String(), got.SessionToken) {
		t.Error("the log holds the session token")
	}

	t.Run("signOut", func(t *testing.T) {
		w.sim.ResetCounts()
		a := w.ask(`mutation { signOut { ok } }`, request{header: session})
		if len(a.Errors) > 0 || string(a.Data) != `{"signOut":{"ok":true}}` {
			t.Errorf("answered %s", a.Body)
		}
		for _, query := range []string{scopeQuery, `{ viewer { name } }`, `mutation { signOut { ok } }`} {
			if e := w.refused(query, request{header: session}); e.Extensions.Code != "UNAUTHENTICATED" {
				t.Errorf("%s: %+v", query, e)
			}
		}
		w.noCalls()
	})
}

func TestSignInIsRefused(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, strict)
	u := w.sim.Data().SoloUser()
	ask := func(username, password string) graphError {
		t.Helper()
		return w.refused(signInMutation, request{variables: map[string]any{"u": username, "p": password}})
	}
	t.Run("before the console is asked", func(t *testing.T) {
		w.sim.ResetCounts()
		for argument, e := range map[string]graphError{
			"input.username": ask(" ", "p"), "input.password": ask("u", ""),
		} {
			if e.Extensions.Code != "BAD_USER_INPUT" || e.Extensions.Argument != argument {
				t.Errorf("%s: %+v", argument, e)
			}
		}
		for _, e := range []graphError{ask("a\nb", "p"), ask(strings.Repeat("u", 300), "p"), ask("u", strings.Repeat("p", 2000))} {
			if e.Extensions.Code != "BAD_USER_INPUT" {
				t.Errorf("%+v", e)
			}
		}
		w.noCalls()
	})
	t.Run("a wrong password", func(t *testing.T) {
		w.sim.ResetCounts()
		var codes []string
		for range 8 {
			e := ask(u.Username, "wrong-password")
			codes = append(codes, e.Extensions.Code)
			if strings.Contains(e.Message, "wrong-password") {
				t.Errorf("the answer repeats the password: %s", e.Message)
			}
		}
		if codes[0] != "UNAUTHENTICATED" || codes[2] != "UNAUTHENTICATED" || codes[7] != "RATE_LIMITED" {
			t.Errorf("codes %v", codes)
		}
		if n := w.calls()["POST /connect/token"]; n > 5 {
			t.Errorf("the SSO was asked %d times", n)
		}
	})
	t.Run("a locked account", func(t *testing.T) {
		other := w.sim.Data().RestrictedUser()
		w.sim.LockUser(other.Username, true)
		w.sim.ResetCounts()
		for range 5 {
			if e := ask(other.Username, other.Password); e.Extensions.Code != "FORBIDDEN" || !strings.Contains(e.Message, "locked") {
				t.Errorf("%+v", e)
			}
		}
		if n := w.calls()["POST /connect/token"]; n != 1 {
			t.Errorf("the SSO was asked %d times", n)
		}
	})
	t.Run("over GET", func(t *testing.T) {
		w.sim.ResetCounts()
		resp, body := w.send(http.MethodGet, "/graphql?query="+url.QueryEscape(`mutation { signIn(input: {username: "u", password: "p"}) { sessionToken } }`), "", nil)
		if resp.StatusCode != http.StatusMethodNotAllowed || strings.Contains(string(body), "cqs_") {
			t.Errorf("status %d: %s", resp.StatusCode, body)
		}
		w.noCalls()
	})
}

// TestSessionOfSeveralCompanies: the session begins although the viewer cannot be
// told without a scope.
func TestSessionOfSeveralCompanies(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, strict, noDefault)
	a := w.ask(signInMutation, request{variables: login(w.sim.Data().Users()[0])})
	got := decode[signInAnswer](t, a.Data).SignIn
	if e := w.onlyError(a); e.Extensions.Code != "SCOPE_REQUIRED" || e.fieldPath() != "signIn.viewer" || got.Viewer != nil || got.SessionToken == "" {
		t.Errorf("answered %s", a.Body)
	}
}

// TestSignInAsSomebodyElse: who shows a credential and signs in as another reads
// the payload as that other.
func TestSignInAsSomebodyElse(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	solo := w.sim.Data().SoloUser()
	a := w.ask(`mutation($u: String!, $p: String!) {
		signIn(input: {username: $u, password: $p}) { viewer { userName } }
	}`, request{variables: login(solo), header: with(w.as("demo"), in(solo.CompanyIDs[0], ""))})
	if want := `{"signIn":{"viewer":{"userName":"` + solo.Username + `"}}}`; string(a.Data) != want {
		t.Errorf("answered %s", a.Body)
	}
}

// TestSessionsAreShared between processes by way of Redis, and end in all of them.
func TestSessionsAreShared(t *testing.T) {
	t.Parallel()
	sim, err := consolesim.Start(t.Context(), consolesim.Options{TokenLifetime: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	store := redistest.Start(t)
	a, b := newProcess(t, sim, store.URL(), tokenKeys), newProcess(t, sim, store.URL(), tokenKeys)
	session := a.signIn(sim.Data().SoloUser())
	ask := func(p *process) answer {
		return p.ask(`{ viewer { userName } }`, request{header: with(session, in(sim.Data().SoloUser().CompanyIDs[0], ""))})
	}
	for began := time.Now(); time.Since(began) < 5*time.Second; time.Sleep(50 * time.Millisecond) {
		for _, p := range []*process{a, b} {
			if answered := ask(p); !strings.Contains(string(answered.Data), sim.Data().SoloUser().Username) {
				t.Fatalf("answered %s", answered.Body)
			}
		}
	}
	for _, g := range sim.Grants() {
		if g.Refused || g.Reused {
			t.Errorf("grant %+v", g)
		}
	}
	// A gateway that starts later, or anew, knows the session.
	if answered := ask(newProcess(t, sim, store.URL(), tokenKeys)); len(answered.Errors) > 0 {
		t.Errorf("a third gateway answers %s", answered.Body)
	}
	if out := b.ask(`mutation { signOut { ok } }`, request{header: session}); len(out.Errors) > 0 {
		t.Fatalf("answered %s", out.Body)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		answered := ask(a)
		if len(answered.Errors) == 1 && answered.Errors[0].Extensions.Code == "UNAUTHENTICATED" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the other gateway still answers %s", answered.Body)
		}
	}
}

// TestWhoHasSignedOutIsToldNothing, not even what an idempotency key has kept.
func TestWhoHasSignedOutIsToldNothing(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, strict)
	d := w.sim.Data()
	session := with(w.signIn(d.Users()[0]), in(d.MainCompanyID(), d.MainDepartmentID()))
	execution := `mutation { executeWorkflow(input: {id: "` + d.WorkflowIDs(d.MainDepartmentID())[0] + `", idempotencyKey: "k"}) { jobs { id } } }`
	if a := w.ask(execution, request{header: session}); len(a.Errors) > 0 {
		t.Fatalf("%s", a.Body)
	}
	if a := w.ask(`mutation { signOut { ok } }`, request{header: session}); len(a.Errors) > 0 {
		t.Fatalf("%s", a.Body)
	}
	if a := w.ask(execution, request{header: session}); w.onlyError(a).Extensions.Code != "UNAUTHENTICATED" || strings.Contains(string(a.Data), "jobs") {
		t.Errorf("%s", a.Body)
	}
}

// TestSessionsAreOfOneConsole: a gateway before another console that shares the
// store and its keys does not know the session, and sends no token anywhere.
func TestSessionsAreOfOneConsole(t *testing.T) {
	sim, err := consolesim.Start(t.Context(), consolesim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	other, err := consolesim.Start(t.Context(), consolesim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	store := redistest.Start(t)
	here, there := newProcess(t, sim, store.URL(), tokenKeys), newProcess(t, other, store.URL(), tokenKeys)
	u := sim.Data().SoloUser()
	header := with(here.signIn(u), in(u.CompanyIDs[0], ""))
	other.ResetCounts()
	if e := there.refused(`{ viewer { userName } }`, request{header: header}); e.Extensions.Code != "UNAUTHENTICATED" {
		t.Errorf("%+v", e)
	}
	there.noCalls()
	if a := here.ask(`{ viewer { userName } }`, request{header: header}); len(a.Errors) > 0 {
		t.Errorf("%s", a.Body)
	}
}

// tokenKeys is the setting without which tokens are not shared.
const tokenKeys = "CONSOLEQL_TOKEN_KEYS=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

// TestWithoutTokenKeys: nothing of a token goes to Redis.
func TestWithoutTokenKeys(t *testing.T) {
	sim, err := consolesim.Start(t.Context(), consolesim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	store := redistest.Start(t)
	p := newProcess(t, sim, store.URL())
	session := p.signIn(sim.Data().SoloUser())
	if a := p.ask(`{ viewer { userName } }`, request{header: with(session, in(sim.Data().SoloUser().CompanyIDs[0], ""))}); len(a.Errors) > 0 {
		t.Errorf("answered %s", a.Body)
	}
	if held := redisDump(t, store); len(held) > 0 {
		t.Errorf("Redis holds %q", held)
	}
	if !strings.Contains(p.log.String(), "there is no CONSOLEQL_TOKEN_KEYS") {
		t.Errorf("no warning:\n%s", p.log)
	}
	other := newProcess(t, sim, store.URL())
	if e := other.refused(`{ viewer { userName } }`, request{header: session}); e.Extensions.Code != "UNAUTHENTICATED" {
		t.Errorf("another process: %+v", e)
	}
}
