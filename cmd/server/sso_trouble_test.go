package main

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/redistest"
)

// grantsFail lets the SSO's grants fail until heal is called.
func grantsFail(sim *consolesim.Server, f consolesim.Fault) (heal func()) {
	return sim.Fail(func(r *http.Request) bool { return r.URL.Path == "/connect/token" }, f)
}

// ssoTroubles are answers to a grant that say nothing of who signs in.
func ssoTroubles() map[string]consolesim.Fault {
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

// TestSessionsOutliveTroubleOfTheSSO: while the SSO gives no answer of its own, sessions are told that it is not available,
// and they and their subscriptions go on when it is well.
func TestSessionsOutliveTroubleOfTheSSO(t *testing.T) {
	for name, fault := range ssoTroubles() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, consolesim.Options{TokenLifetime: 2 * time.Second}, strict)
			d := w.sim.Data()
			session := with(w.signIn(d.Users()[0]), in(d.MainCompanyID(), d.MainDepartmentID()))
			events := w.socket(session)
			events.subscribe("1", `subscription { robotChanged(ids: ["`+d.RobotIDs(d.MainDepartmentID())[0]+`"]) { id } }`)
			await(t, "the poll", func() bool { return w.metric("consoleql_watched_things") == "1" })

			heal := grantsFail(w.sim, fault)
			refused := 0
			await(t, "the end of the token", func() bool {
				if a := w.ask(`{ viewer { name } }`, request{header: session}); len(a.Errors) > 0 {
					if code := a.Errors[0].Extensions.Code; !strings.HasPrefix(code, "UPSTREAM_") && code != "RATE_LIMITED" {
						t.Fatalf("answered %s", a.Body)
					}
					refused++
				}
				return refused > 10
			})
			heal()
			await(t, "the session", func() bool { return len(w.ask(`{ viewer { name } }`, request{header: session}).Errors) == 0 })
			stir := func() {
				w.sim.SetRobotStatus(d.RobotIDs(d.MainDepartmentID())[0], map[bool]string{true: "Busy", false: "Ready"}[refused%2 == 0])
				refused++
			}
			told := make(chan answer, 1)
			go func() { told <- events.next("1") }()
			for deadline := time.Now().Add(patience); ; stir() {
				select {
				case a := <-told:
					if len(a.Errors) > 0 {
						t.Errorf("the subscription is told %s", a.Body)
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

// TestSessionsOutliveReplicas: a session goes on whose refresh was under way, unanswered, when its replica was killed, and
// one whose refresh failed at another replica.
func TestSessionsOutliveReplicas(t *testing.T) {
	t.Parallel()
	sim := newSim(t, consolesim.Options{TokenLifetime: 2 * time.Second})
	store := redistest.Start(t)
	u := sim.Data().SoloUser()
	header := in(u.CompanyIDs[0], u.Assigned[u.CompanyIDs[0]])
	a, b := newProcess(t, sim, store.URL(), tokenKeys), newProcess(t, sim, store.URL(), tokenKeys)
	session := request{header: with(a.signIn(u), header)}
	ask := func(p *process) string {
		answered := p.ask(`{ viewer { userName } }`, session)
		if len(answered.Errors) > 0 {
			return answered.Errors[0].Extensions.Code
		}
		return ""
	}
	heal := grantsFail(sim, consolesim.Fault{Status: http.StatusBadGateway})
	await(t, "the end of the token", func() bool { return ask(a) == "UPSTREAM_UNAVAILABLE" && ask(b) == "UPSTREAM_UNAVAILABLE" })
	heal()
	await(t, "the session", func() bool { return ask(a) == "" && ask(b) == "" })

	heal = grantsFail(sim, consolesim.Fault{Status: http.StatusBadGateway, Delay: time.Hour}) // which it never does
	var hanging sync.WaitGroup
	hanging.Go(func() {
		await(t, "a refresh that hangs", func() bool { return sim.Counts()["POST /connect/token"] > 0 })
		_ = a.cmd.Process.Kill()
	})
	sim.ResetCounts()
	await(t, "the end of a replica", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.url+"/graphql", strings.NewReader(fleetQuery))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		for name, value := range session.header {
			req.Header.Set(name, value)
		}
		resp, err := a.http.Do(req)
		if err != nil {
			return true
		}
		return resp.Body.Close() != nil
	})
	hanging.Wait()
	heal()
	await(t, "the session at the other replica", func() bool { return ask(b) == "" })
	if said := ask(newProcess(t, sim, store.URL(), tokenKeys)); said != "" {
		t.Errorf("a third replica says %s", said)
	}
}

// TestIdleSessionsOfRefusedTokens: of many sessions that were idle, none is refused where the console refuses their
// tokens before these expire. Each is looked up in Redis at that moment, as it was idle so long.
func TestIdleSessionsOfRefusedTokens(t *testing.T) {
	t.Parallel()
	store := redistest.Start(t)
	w := newWorld(t, consolesim.Options{}, func(s *settings, _ *consolesim.Server) {
		s.RedisURL, s.TokenKeys = store.URL(), strings.TrimPrefix(tokenKeys, "CONSOLEQL_TOKEN_KEYS=")
	})
	u := w.sim.Data().SoloUser()
	sessions := make([]request, 48)
	for i := range sessions {
		sessions[i].header = with(w.signIn(u), in(u.CompanyIDs[0], ""))
	}
	time.Sleep(2500 * time.Millisecond) // they are idle
	w.sim.ExpireTokens()
	begin := make(chan struct{})
	var asking sync.WaitGroup
	for i, session := range sessions {
		asking.Go(func() {
			<-begin
			a := w.ask(`{ viewer { userName } robots(first: 1) { totalCount } queues(first: 1) { totalCount } }`, session)
			if len(a.Errors) > 0 || !strings.Contains(string(a.Data), u.Username) {
				t.Errorf("session %d is answered %s", i, a.Body)
			}
		})
	}
	close(begin)
	asking.Wait()
}

// TestALostGrantEndsTheSession: the SSO has granted, nobody has the answer, and it refuses the refresh token that was used.
func TestALostGrantEndsTheSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consolesim.Options{TokenLifetime: 2 * time.Second}, strict)
	session := request{header: w.signIn(w.sim.Data().SoloUser())}
	grantsFail(w.sim, consolesim.Fault{Status: http.StatusBadGateway, After: true, Times: 1})
	await(t, "the end of the session", func() bool {
		a := w.ask(`{ viewer { name } }`, session)
		return len(a.Errors) > 0 && a.Errors[0].Extensions.Code == "UNAUTHENTICATED"
	})
}

// TestMutationsOutliveForgottenTokens: the console forgets its tokens, and the next call of a session, or of a service
// account, is a mutation. It is done, once.
func TestMutationsOutliveForgottenTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consolesim.Options{})
	d := w.sim.Data()
	workflow := d.WorkflowIDs(d.MainDepartmentID())[0]
	session := w.signIn(d.Users()[0])
	for name, header := range map[string]map[string]string{"session": session, "service account": {}} {
		w.sim.ExpireTokens()
		w.sim.ResetCounts()
		a := w.ask(`mutation { executeWorkflow(input: {id: "`+workflow+`", idempotencyKey: "`+name+`"}) { jobs { id } } }`,
			request{header: with(header, in(d.MainCompanyID(), d.MainDepartmentID()))})
		if len(a.Errors) > 0 || strings.Count(string(a.Data), `"id"`) != 1 {
			t.Errorf("%s: answered %s", name, a.Body)
		}
		if n := w.calls()["POST /openapi/workflows/{workflowId}/execute"]; n != 2 {
			t.Errorf("%s: %d calls: %v", name, n, w.calls())
		}
	}
}
