package joins

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

// withRedis makes gateways use one Redis.
func withRedis(store *redistest.Server) func(*gateway.Settings, *consolesim.Server) {
	return func(s *gateway.Settings, _ *consolesim.Server) { s.RedisURL = store.URL() }
}

// acting sets the user of the default service account.
func acting(u consolesim.User) func(*gateway.Settings, *consolesim.Server) {
	return func(s *gateway.Settings, _ *consolesim.Server) { s.Username, s.Password = u.Username, u.Password }
}

// elsewhere gives the console another address, so that the gateway takes it for another
// console with the same SSO.
func elsewhere(t testing.TB) func(*gateway.Settings, *consolesim.Server) {
	return e2e.RewriteAnswers(t, func(_ *http.Request, body string) string { return body })
}

// otherSSO sets another SSO than the console's. All simulators have the same users and ids.
func otherSSO(sso *consolesim.Server) func(*gateway.Settings, *consolesim.Server) {
	return func(s *gateway.Settings, _ *consolesim.Server) { s.SSOURL = sso.SSOURL() }
}

// TestIdempotencyKeysBelongToAccount verifies that gateways with a common Redis share idempotency keys
// only if the same user is behind an account's name.
func TestIdempotencyKeysBelongToAccount(t *testing.T) {
	t.Parallel()
	store := redistest.Start(t)
	w := e2e.NewWorld(t, consolesim.Options{}, withRedis(store))
	twin, other := w.SecondGateway(withRedis(store)), w.SecondGateway(withRedis(store), acting(w.Sim.Data().RestrictedUser()))
	started := w.Ask(w.Execution("k"), e2e.Request{})
	for name, tt := range map[string]struct {
		of         *e2e.World
		executions int
	}{"a replica": {twin, 0}, "another account": {other, 1}} {
		var again e2e.Answer
		n := w.CallsOf(func() { again = tt.of.Ask(w.Execution("k"), e2e.Request{}) })
		if same := string(again.Data) == string(started.Data); n[e2e.Execute] != tt.executions || same != (tt.executions == 0) || len(again.Errors) > 0 {
			t.Errorf("%s: %d executions for %s after %s", name, n[e2e.Execute], again.Body, started.Body)
		}
	}
}

// TestIdempotencyKeysBelongToConsole verifies that gateways of different consoles share no idempotency
// keys.
func TestIdempotencyKeysBelongToConsole(t *testing.T) {
	t.Parallel()
	store := redistest.Start(t)
	w := e2e.NewWorld(t, consolesim.Options{}, withRedis(store))
	other := w.SecondGateway(withRedis(store), elsewhere(t))
	for of, g := range map[string]*e2e.World{"one": w, "the other": other} {
		if n := w.CallsOf(func() { g.Query(w.Execution("k"), nil) }); n[e2e.Execute] != 1 {
			t.Errorf("%s: %v", of, n)
		}
	}
}

// TestIdempotencyKeysBelongToSSO verifies that users of different SSOs with the same id share no
// idempotency keys.
func TestIdempotencyKeysBelongToSSO(t *testing.T) {
	t.Parallel()
	store, sso := redistest.Start(t), e2e.NewSim(t, consolesim.Options{})
	w := e2e.NewWorld(t, consolesim.Options{}, withRedis(store), e2e.VerifyTokens)
	other := w.SecondGateway(withRedis(store), e2e.VerifyTokens, otherSSO(sso))
	username, _ := w.Sim.DefaultUser()
	if a := w.Ask(w.Execution("k"), e2e.Request{Header: w.TokenHeader(username)}); len(a.Errors) > 0 {
		t.Fatalf("%s", a.Body)
	}
	if e := other.ExpectRefusal(w.Execution("k"), e2e.Request{Header: e2e.Bearer(sso.Token(username))}); e.Extensions.Code != "UNAUTHENTICATED" {
		t.Errorf("%+v", e)
	}
}

// TestIdempotencyKeysBelongToScope verifies that the same key and input in another scope is an error.
func TestIdempotencyKeysBelongToScope(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	d := w.Sim.Data()
	create := `mutation { createQueue(input: {name: "q", idempotencyKey: "k"}) { queue { id companyId departmentId } } }`
	if a := w.Ask(create, e2e.Request{}); len(a.Errors) > 0 {
		t.Fatalf("%s", a.Body)
	}
	for name, header := range map[string]map[string]string{
		"another department": e2e.ScopeHeader(d.MainCompanyID(), d.Companies()[0].RootDepartmentID),
		"another company":    e2e.ScopeHeader(d.Companies()[1].ID, d.Companies()[1].RootDepartmentID),
	} {
		w.Sim.ResetCounts()
		a := w.Ask(create, e2e.Request{Header: header})
		if e := w.OnlyError(a); e.Extensions.Code != "CONFLICT" || strings.Contains(string(a.Data), d.MainDepartmentID()) {
			t.Errorf("%s: %s", name, a.Body)
		}
		w.CheckNoCalls()
	}
}

// TestProxyRefusalHasUnknownOutcome verifies the outcome of a proxy's refusal after an
// execution.
func TestProxyRefusalHasUnknownOutcome(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	defer w.Sim.Fail(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/execute") }, consolesim.Fault{Status: 499, After: true, Times: 1})()
	if e := w.ExpectRefusal(w.Execution("k"), e2e.Request{}); e.Extensions.Code != "UPSTREAM_INVALID_RESPONSE" {
		t.Errorf("%+v", e)
	}
	w.Sim.ResetCounts()
	if e := w.ExpectRefusal(w.Execution("k"), e2e.Request{}); e.Extensions.Code != "CONFLICT" || !strings.Contains(e.Message, "unknown") {
		t.Errorf("asked again: %+v", e)
	}
	w.CheckNoCalls()
}

// TestAnswersBelongToIdentity verifies that replicas with a common Redis share entries, and
// that gateways of another account, console or SSO do not.
func TestAnswersBelongToIdentity(t *testing.T) {
	t.Parallel()
	store, sso := redistest.Start(t), e2e.NewSim(t, consolesim.Options{})
	w := e2e.NewWorld(t, consolesim.Options{}, withRedis(store), e2e.WithCache, e2e.VerifyTokens)
	twin := w.SecondGateway(withRedis(store), e2e.WithCache, e2e.VerifyTokens)
	others := map[string]*e2e.World{
		"another account": w.SecondGateway(withRedis(store), e2e.WithCache, e2e.VerifyTokens, acting(w.Sim.Data().RestrictedUser())),
		"another console": w.SecondGateway(withRedis(store), e2e.WithCache, e2e.VerifyTokens, elsewhere(t)),
		"another SSO":     w.SecondGateway(withRedis(store), e2e.WithCache, e2e.VerifyTokens, otherSSO(sso)),
	}
	username, _ := w.Sim.DefaultUser()
	for name, header := range map[string]map[string]string{"its account": nil, "a user": w.TokenHeader(username)} {
		size, query := 0, ""
		e2e.Await(t, "an answer that is shared", func() bool { // a slow Redis is not waited for
			size++
			query = fmt.Sprintf(`{ workflows(first: %d) { nodes { name } } }`, size)
			w.Ask(query, e2e.Request{Header: header})
			return len(w.CallsOf(func() { twin.Ask(query, e2e.Request{Header: header}) })) == 0
		})
		for of, other := range others {
			shown := header
			if of == "another SSO" && header != nil {
				shown = e2e.Bearer(sso.Token(username))
			}
			if n := w.CallsOf(func() { other.Ask(query, e2e.Request{Header: shown}) }); n[e2e.Workflows] == 0 && (of != "another account" || header == nil) {
				t.Errorf("%s, asked as %s: %v", of, name, n)
			}
		}
	}
}
