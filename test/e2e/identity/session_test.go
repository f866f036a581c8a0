package identity

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

func TestSignIn(t *testing.T) { e2e.WithAndWithoutCache(t, signInAndOut) }

func signInAndOut(t *testing.T, caching func(*gateway.Settings, *consolesim.Server)) {
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous, e2e.WithoutDefaultScope, caching)
	u := w.Sim.Data().SoloUser()
	company := u.CompanyIDs[0]
	w.Sim.ResetCounts()
	a := w.Ask(e2e.SignInMutation, e2e.Request{Variables: e2e.SignInVariables(u)})
	if len(a.Errors) > 0 {
		t.Fatalf("answered %s", a.Body)
	}
	got := e2e.Decode[e2e.SignInAnswer](t, a.Data).SignIn
	if got.Viewer == nil || got.Viewer.UserName != u.Username || got.Viewer.Company.ID != company || got.Viewer.AssignedDepartment.ID != u.Assigned[company] {
		t.Errorf("the viewer is %s", a.Data)
	}
	if !strings.HasPrefix(got.SessionToken, "cqs_") || time.Until(got.ExpiresAt) > time.Hour || time.Until(got.ExpiresAt) < 50*time.Minute {
		t.Errorf("a session until %v", got.ExpiresAt)
	}
	if diff := cmp.Diff(e2e.Counts{"POST /connect/token": 1, e2e.Companies: 1, e2e.Self: 1, e2e.Tree: 1}, w.Calls()); diff != "" {
		t.Error(diff)
	}
	session := e2e.Bearer(got.SessionToken)
	w.CheckWorkflowsOf(company, u.Assigned[company], e2e.Request{Header: session})
	if strings.Contains(w.Logs.String(), got.SessionToken) {
		t.Error("the log holds the session token")
	}

	t.Run("signOut", func(t *testing.T) {
		w.Sim.ResetCounts()
		a := w.Ask(`mutation { signOut { ok } }`, e2e.Request{Header: session})
		if len(a.Errors) > 0 || string(a.Data) != `{"signOut":{"ok":true}}` {
			t.Errorf("answered %s", a.Body)
		}
		for _, query := range []string{e2e.ScopeQuery, `{ viewer { name } }`, `mutation { signOut { ok } }`} {
			if e := w.ExpectRefusal(query, e2e.Request{Header: session}); e.Extensions.Code != "UNAUTHENTICATED" {
				t.Errorf("%s: %+v", query, e)
			}
		}
		w.CheckNoCalls()
	})
}

func TestSignInIsRefused(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous)
	u := w.Sim.Data().SoloUser()
	ask := func(username, password string) e2e.GraphError {
		t.Helper()
		return w.ExpectRefusal(e2e.SignInMutation, e2e.Request{Variables: map[string]any{"u": username, "p": password}})
	}
	t.Run("before the console is asked", func(t *testing.T) {
		w.Sim.ResetCounts()
		for argument, e := range map[string]e2e.GraphError{
			"input.username": ask(" ", "p"), "input.password": ask("u", ""),
		} {
			if e.Extensions.Code != "BAD_USER_INPUT" || e.Extensions.Argument != argument {
				t.Errorf("%s: %+v", argument, e)
			}
		}
		for _, e := range []e2e.GraphError{ask("a\nb", "p"), ask(strings.Repeat("u", 300), "p"), ask("u", strings.Repeat("p", 2000))} {
			if e.Extensions.Code != "BAD_USER_INPUT" {
				t.Errorf("%+v", e)
			}
		}
		w.CheckNoCalls()
	})
	t.Run("a wrong password", func(t *testing.T) {
		w.Sim.ResetCounts()
		// After some attempts, each has to wait longer than the one before.
		failed := 0
		for limited := false; !limited; {
			e := ask(u.Username, "wrong-password")
			if strings.Contains(e.Message, "wrong-password") {
				t.Errorf("the answer repeats the password: %s", e.Message)
			}
			switch limited = e.Extensions.Code == "RATE_LIMITED"; {
			case limited:
			case e.Extensions.Code != "UNAUTHENTICATED" || failed > 10:
				t.Fatalf("after %d attempts: %+v", failed, e)
			default:
				failed++
			}
		}
		if n := w.Calls()["POST /connect/token"]; failed < 3 || n != failed {
			t.Errorf("%d attempts failed before one had to wait, and the SSO was asked %d times", failed, n)
		}
	})
	t.Run("a locked account", func(t *testing.T) {
		other := w.Sim.Data().RestrictedUser()
		w.Sim.LockUser(other.Username, true)
		w.Sim.ResetCounts()
		for range 5 {
			if e := ask(other.Username, other.Password); e.Extensions.Code != "FORBIDDEN" || !strings.Contains(e.Message, "locked") {
				t.Errorf("%+v", e)
			}
		}
		if n := w.Calls()["POST /connect/token"]; n != 1 {
			t.Errorf("the SSO was asked %d times", n)
		}
	})
	t.Run("over GET", func(t *testing.T) {
		w.Sim.ResetCounts()
		resp, body := w.Send(http.MethodGet, "/graphql?query="+url.QueryEscape(`mutation { signIn(input: {username: "u", password: "p"}) { sessionToken } }`), "", nil)
		if resp.StatusCode != http.StatusMethodNotAllowed || strings.Contains(string(body), "cqs_") {
			t.Errorf("status %d: %s", resp.StatusCode, body)
		}
		w.CheckNoCalls()
	})
}

// TestSessionWithSeveralCompanies verifies that a session starts although the viewer needs a
// scope.
func TestSessionWithSeveralCompanies(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous, e2e.WithoutDefaultScope)
	a := w.Ask(e2e.SignInMutation, e2e.Request{Variables: e2e.SignInVariables(w.Sim.Data().Users()[0])})
	got := e2e.Decode[e2e.SignInAnswer](t, a.Data).SignIn
	if e := w.OnlyError(a); e.Extensions.Code != "SCOPE_REQUIRED" || e.FieldPath() != "signIn.viewer" || got.Viewer != nil || got.SessionToken == "" {
		t.Errorf("answered %s", a.Body)
	}
}

// TestSignInAsOtherUser verifies that the payload of signIn is read as the new user, also
// if the request has other credentials.
func TestSignInAsOtherUser(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	solo := w.Sim.Data().SoloUser()
	a := w.Ask(`mutation($u: String!, $p: String!) {
		signIn(input: {username: $u, password: $p}) { viewer { userName } }
	}`, e2e.Request{Variables: e2e.SignInVariables(solo), Header: e2e.MergeHeaders(w.TokenHeader("demo"), e2e.ScopeHeader(solo.CompanyIDs[0], ""))})
	if want := `{"signIn":{"viewer":{"userName":"` + solo.Username + `"}}}`; string(a.Data) != want {
		t.Errorf("answered %s", a.Body)
	}
}

// TestSessionsAreShared verifies that processes share sessions by Redis, and end them
// everywhere.
func TestSessionsAreShared(t *testing.T) {
	t.Parallel()
	sim, err := consolesim.Start(t.Context(), consolesim.Options{TokenLifetime: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	store := redistest.Start(t)
	a, b := e2e.NewProcess(t, sim, store.URL(), e2e.TokenKeys), e2e.NewProcess(t, sim, store.URL(), e2e.TokenKeys)
	session := a.SignIn(sim.Data().SoloUser())
	ask := func(p *e2e.Process) e2e.Answer {
		return p.Ask(`{ viewer { userName } }`, e2e.Request{Header: e2e.MergeHeaders(session, e2e.ScopeHeader(sim.Data().SoloUser().CompanyIDs[0], ""))})
	}
	for began := time.Now(); time.Since(began) < 5*time.Second; time.Sleep(50 * time.Millisecond) {
		for _, p := range []*e2e.Process{a, b} {
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
	// A gateway that starts later knows the session.
	if answered := ask(e2e.NewProcess(t, sim, store.URL(), e2e.TokenKeys)); len(answered.Errors) > 0 {
		t.Errorf("a third gateway answers %s", answered.Body)
	}
	if out := b.Ask(`mutation { signOut { ok } }`, e2e.Request{Header: session}); len(out.Errors) > 0 {
		t.Fatalf("answered %s", out.Body)
	}
	for deadline := time.Now().Add(e2e.Timeout); ; time.Sleep(50 * time.Millisecond) {
		answered := ask(a)
		if len(answered.Errors) == 1 && answered.Errors[0].Extensions.Code == "UNAUTHENTICATED" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the other gateway still answers %s", answered.Body)
		}
	}
}

// TestSignedOutCallerGetsNoAnswer verifies that an ended session gets no answer, not even the
// recorded result of an idempotency key.
func TestSignedOutCallerGetsNoAnswer(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous)
	d := w.Sim.Data()
	session := e2e.MergeHeaders(w.SignIn(d.Users()[0]), e2e.ScopeHeader(d.MainCompanyID(), d.MainDepartmentID()))
	execution := `mutation { executeWorkflow(input: {id: "` + d.WorkflowIDs(d.MainDepartmentID())[0] + `", idempotencyKey: "k"}) { jobs { id } } }`
	if a := w.Ask(execution, e2e.Request{Header: session}); len(a.Errors) > 0 {
		t.Fatalf("%s", a.Body)
	}
	if a := w.Ask(`mutation { signOut { ok } }`, e2e.Request{Header: session}); len(a.Errors) > 0 {
		t.Fatalf("%s", a.Body)
	}
	if a := w.Ask(execution, e2e.Request{Header: session}); w.OnlyError(a).Extensions.Code != "UNAUTHENTICATED" || strings.Contains(string(a.Data), "jobs") {
		t.Errorf("%s", a.Body)
	}
}

// TestSessionsBelongToConsole uses a gateway of another console with the same store and keys.
// It does not know the session, and sends no token.
func TestSessionsBelongToConsole(t *testing.T) {
	t.Parallel()
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
	here, there := e2e.NewProcess(t, sim, store.URL(), e2e.TokenKeys), e2e.NewProcess(t, other, store.URL(), e2e.TokenKeys)
	u := sim.Data().SoloUser()
	header := e2e.MergeHeaders(here.SignIn(u), e2e.ScopeHeader(u.CompanyIDs[0], ""))
	other.ResetCounts()
	if e := there.ExpectRefusal(`{ viewer { userName } }`, e2e.Request{Header: header}); e.Extensions.Code != "UNAUTHENTICATED" {
		t.Errorf("%+v", e)
	}
	there.CheckNoCalls()
	if a := here.Ask(`{ viewer { userName } }`, e2e.Request{Header: header}); len(a.Errors) > 0 {
		t.Errorf("%s", a.Body)
	}
}

// TestWithoutTokenKeys verifies that without keys no token is stored in Redis.
func TestWithoutTokenKeys(t *testing.T) {
	t.Parallel()
	sim, err := consolesim.Start(t.Context(), consolesim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	store := redistest.Start(t)
	p := e2e.NewProcess(t, sim, store.URL())
	session := p.SignIn(sim.Data().SoloUser())
	if a := p.Ask(`{ viewer { userName } }`, e2e.Request{Header: e2e.MergeHeaders(session, e2e.ScopeHeader(sim.Data().SoloUser().CompanyIDs[0], ""))}); len(a.Errors) > 0 {
		t.Errorf("answered %s", a.Body)
	}
	if held := redisDump(t, store); len(held) > 0 {
		t.Errorf("Redis holds %q", held)
	}
	if !strings.Contains(p.Log.String(), "there is no CONSOLEQL_TOKEN_KEYS") {
		t.Errorf("no warning:\n%s", p.Log)
	}
	other := e2e.NewProcess(t, sim, store.URL())
	if e := other.ExpectRefusal(`{ viewer { userName } }`, e2e.Request{Header: session}); e.Extensions.Code != "UNAUTHENTICATED" {
		t.Errorf("another process: %+v", e)
	}
}
