package identity

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

// grantsFail makes the SSO's grants fail until heal is called.
func grantsFail(sim *consolesim.Server, f consolesim.Fault) (heal func()) {
	return sim.Fail(func(r *http.Request) bool { return r.URL.Path == "/connect/token" }, f)
}

// ssoFailures are answers to a grant that do not concern the user.
func ssoFailures() map[string]consolesim.Fault {
	text := func(status int, contentType, body string) consolesim.Fault {
		return consolesim.Fault{Status: status, ContentType: contentType, Body: []byte(body)}
	}
	return map[string]consolesim.Fault{
		"502":                        {Status: http.StatusBadGateway},
		"504":                        {Status: http.StatusGatewayTimeout},
		"500 problem":                {Status: http.StatusInternalServerError, Title: "invalid_grant"},
		"a page instead of a token":  text(http.StatusOK, "text/html", "<html>please log in</html>"),
		"a reset":                    {Drop: true},
		"429":                        {Status: http.StatusTooManyRequests},
		"another OAuth error":        text(http.StatusBadRequest, "application/json", `{"error":"invalid_client"}`),
		"JSON without a token":       text(http.StatusOK, "application/json", `{"access_token":{}}`),
		"403 text":                   text(http.StatusForbidden, "text/plain", "RBAC: access denied"),
		"403 of an API gateway":      text(http.StatusForbidden, "application/json", `{"message":"Forbidden"}`),
		"403 problem":                {Status: http.StatusForbidden, Title: "Forbidden"},
		"an empty 401":               text(http.StatusUnauthorized, "", ""),
		"an empty 403":               text(http.StatusForbidden, "", ""),
		"400 text":                   text(http.StatusBadRequest, "text/plain", "Bad Request"),
		"a redirect to a login page": {Status: http.StatusFound, Header: http.Header{"Location": {"/login"}}},
	}
}

// TestSessionsSurviveSSOFailure verifies that sessions get UPSTREAM_UNAVAILABLE while the
// SSO is down. They and their subscriptions continue when it is back.
func TestSessionsSurviveSSOFailure(t *testing.T) {
	t.Parallel()
	for name, fault := range ssoFailures() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, consolesim.Options{TokenLifetime: 2 * time.Second}, e2e.WithoutAnonymous)
			d := w.Sim.Data()
			session := e2e.MergeHeaders(w.SignIn(d.Users()[0]), e2e.ScopeHeader(d.MainCompanyID(), d.MainDepartmentID()))
			events := w.Socket(session)
			events.Subscribe("1", `subscription { robotChanged(ids: ["`+d.RobotIDs(d.MainDepartmentID())[0]+`"]) { id } }`)
			e2e.Await(t, "the poll", func() bool { return w.Metric("consoleql_watched_things") == "1" })

			heal := grantsFail(w.Sim, fault)
			refused := 0
			e2e.Await(t, "the end of the token", func() bool {
				if a := w.Ask(`{ viewer { name } }`, e2e.Request{Header: session}); len(a.Errors) > 0 {
					if code := a.Errors[0].Extensions.Code; !strings.HasPrefix(code, "UPSTREAM_") && code != "RATE_LIMITED" {
						t.Fatalf("answered %s", a.Body)
					}
					refused++
				}
				return refused > 10
			})
			heal()
			e2e.Await(t, "the session", func() bool { return len(w.Ask(`{ viewer { name } }`, e2e.Request{Header: session}).Errors) == 0 })
			stir := func() {
				w.Sim.SetRobotStatus(d.RobotIDs(d.MainDepartmentID())[0], map[bool]string{true: "Busy", false: "Ready"}[refused%2 == 0])
				refused++
			}
			got := make(chan e2e.Answer, 1)
			go func() { got <- events.Next("1") }()
			for deadline := time.Now().Add(e2e.Timeout); ; stir() {
				select {
				case a := <-got:
					if len(a.Errors) > 0 {
						t.Errorf("the subscription got %s", a.Body)
					}
					return
				case <-time.After(300 * time.Millisecond):
				}
				if time.Now().After(deadline) {
					t.Fatal("the subscription tells nothing")
				}
			}
		})
	}
}

// TestSessionsSurviveReplicas verifies that a session continues after its replica was killed
// during a refresh, and after a failed refresh at another replica.
func TestSessionsSurviveReplicas(t *testing.T) {
	t.Parallel()
	sim := e2e.NewSim(t, consolesim.Options{TokenLifetime: 2 * time.Second})
	store := redistest.Start(t)
	u := sim.Data().SoloUser()
	header := e2e.ScopeHeader(u.CompanyIDs[0], u.Assigned[u.CompanyIDs[0]])
	a, b := e2e.NewProcess(t, sim, store.URL(), e2e.TokenKeys), e2e.NewProcess(t, sim, store.URL(), e2e.TokenKeys)
	session := e2e.Request{Header: e2e.MergeHeaders(a.SignIn(u), header)}
	ask := func(p *e2e.Process) string {
		answered := p.Ask(`{ viewer { userName } }`, session)
		if len(answered.Errors) > 0 {
			return answered.Errors[0].Extensions.Code
		}
		return ""
	}
	heal := grantsFail(sim, consolesim.Fault{Status: http.StatusBadGateway})
	e2e.Await(t, "the end of the token", func() bool { return ask(a) == "UPSTREAM_UNAVAILABLE" && ask(b) == "UPSTREAM_UNAVAILABLE" })
	heal()
	e2e.Await(t, "the session", func() bool { return ask(a) == "" && ask(b) == "" })

	heal = grantsFail(sim, consolesim.Fault{Status: http.StatusBadGateway, Delay: time.Hour}) // which never succeeds
	var hanging sync.WaitGroup
	hanging.Go(func() {
		e2e.Await(t, "a refresh that hangs", func() bool { return sim.Counts()["POST /connect/token"] > 0 })
		_ = a.Cmd.Process.Kill()
	})
	sim.ResetCounts()
	e2e.Await(t, "the end of a replica", func() bool {
		_, err := a.AskContext(t.Context(), e2e.FleetQuery, session)
		return err != nil
	})
	hanging.Wait()
	heal()
	e2e.Await(t, "the session at the other replica", func() bool { return ask(b) == "" })
	if said := ask(e2e.NewProcess(t, sim, store.URL(), e2e.TokenKeys)); said != "" {
		t.Errorf("a third replica says %s", said)
	}
}

// TestIdleSessionsWithRefusedTokens verifies that no idle session ends when the console refuses
// its token before the expiry. Each session is then loaded from Redis.
func TestIdleSessionsWithRefusedTokens(t *testing.T) {
	t.Parallel()
	store := redistest.Start(t)
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) {
		s.RedisURL, s.TokenKeys = store.URL(), strings.TrimPrefix(e2e.TokenKeys, "CONSOLEQL_TOKEN_KEYS=")
	})
	u := w.Sim.Data().SoloUser()
	sessions := make([]e2e.Request, 48)
	for i := range sessions {
		sessions[i].Header = e2e.MergeHeaders(w.SignIn(u), e2e.ScopeHeader(u.CompanyIDs[0], ""))
	}
	time.Sleep(2500 * time.Millisecond) // they are idle
	w.Sim.ExpireTokens()
	begin := make(chan struct{})
	var asking sync.WaitGroup
	for i, session := range sessions {
		asking.Go(func() {
			<-begin
			var a e2e.Answer
			e2e.Await(t, "a session that Redis answers in time", func() bool {
				a = w.Ask(`{ viewer { userName } robots(first: 1) { totalCount } queues(first: 1) { totalCount } }`, session)
				return len(a.Errors) == 0 || a.Errors[0].Extensions.Code != "UPSTREAM_UNAVAILABLE"
			})
			if len(a.Errors) > 0 || !strings.Contains(string(a.Data), u.Username) {
				t.Errorf("session %d is answered %s", i, a.Body)
			}
		})
	}
	close(begin)
	asking.Wait()
}

// TestLostGrantEndsSession loses the answer to a grant. The SSO then refuses the used
// refresh token.
func TestLostGrantEndsSession(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{TokenLifetime: 2 * time.Second}, e2e.WithoutAnonymous)
	session := e2e.Request{Header: w.SignIn(w.Sim.Data().SoloUser())}
	grantsFail(w.Sim, consolesim.Fault{Status: http.StatusBadGateway, After: true, Times: 1})
	e2e.Await(t, "the end of the session", func() bool {
		a := w.Ask(`{ viewer { name } }`, session)
		return len(a.Errors) > 0 && a.Errors[0].Extensions.Code == "UNAUTHENTICATED"
	})
}

// TestMutationsSurviveEvictedTokens revokes the console's tokens before a mutation of a
// session and of a service account. The mutation is executed once.
func TestMutationsSurviveEvictedTokens(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	d := w.Sim.Data()
	workflow := d.WorkflowIDs(d.MainDepartmentID())[0]
	session := w.SignIn(d.Users()[0])
	for name, header := range map[string]map[string]string{"session": session, "service account": {}} {
		w.Sim.ExpireTokens()
		w.Sim.ResetCounts()
		a := w.Ask(`mutation { executeWorkflow(input: {id: "`+workflow+`", idempotencyKey: "`+name+`"}) { jobs { id } } }`,
			e2e.Request{Header: e2e.MergeHeaders(header, e2e.ScopeHeader(d.MainCompanyID(), d.MainDepartmentID()))})
		if len(a.Errors) > 0 || strings.Count(string(a.Data), `"id"`) != 1 {
			t.Errorf("%s: answered %s", name, a.Body)
		}
		if n := w.Calls()["POST /openapi/workflows/{workflowId}/execute"]; n != 2 {
			t.Errorf("%s: %d calls: %v", name, n, w.Calls())
		}
	}
}
