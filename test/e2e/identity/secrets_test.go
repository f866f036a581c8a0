package identity

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestSecretsDoNotLeak sends all kinds of requests, including failing ones, with all
// logs enabled, and then searches for secrets.
func TestSecretsDoNotLeak(t *testing.T) {
	t.Parallel()
	traces := e2e.NewCollector(t)
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutLimits, traces.Configure, func(s *gateway.Settings, _ *consolesim.Server) {
		s.ConsoleTimeout, s.SlowOperation = 800*time.Millisecond, time.Nanosecond
	})
	d := w.Sim.Data()
	r := &recorder{World: w}
	everything := w.QueryOfAllTypes()
	r.ask(everything, e2e.Request{})
	for _, u := range d.Users() {
		r.ask(everything, e2e.Request{Header: e2e.MergeHeaders(w.TokenHeader(u.Username), e2e.ScopeHeader(u.CompanyIDs[0], u.Assigned[u.CompanyIDs[0]]))})
		// Secrets in wrong places.
		token := w.Sim.Token(u.Username)
		for _, secret := range []string{token, u.Password} {
			r.post(`{"query":"{ __typename }","variables":{"password":"`+secret+`"`, nil)
			r.post(`{"query":"query($password: String) { companies(name: $password) { id } }","variables":{"password":{"is":"`+secret+`"}}}`, nil)
			r.post(`{"query":"query($n: Int) { workflows(first: $n) { totalCount } }","variables":{"n":"`+secret+`"}}`, nil)
			r.post(`{"query":"{ __typename }","operationName":7,"extensions":"`+secret+`"}`, nil)
			r.post(`{"query":"{ __typename }"}`, map[string]string{"Authorization": "Basic " + secret})
			r.post(`{"query":"{ __typename }"}`, map[string]string{"Authorization": "Bearer  " + secret + " " + secret})
			r.post(`{"query":"{ __typename }"}`, map[string]string{"X-Api-Key": secret})
			r.post(`{"query":"{ viewer { name } }"}`, map[string]string{"Authorization": "Bearer " + secret})
			r.post(`password=`+secret, map[string]string{"Content-Type": "text/plain"})
			_, answered := w.Send(http.MethodGet, "/graphql?"+url.Values{"query": {"{ __typename }"}, "variables": {secret}, "access_token": {secret}}.Encode(), "", nil)
			r.record(answered)
		}
	}
	for _, fault := range []consolesim.Fault{
		{Status: 500, Detail: "broken"}, {Status: 401}, {Status: 403}, {Status: 429, Header: http.Header{"Retry-After": {"1"}}}, {Drop: true},
		{Truncate: true}, {Body: []byte("garbage")}, {Delay: 2 * time.Second}, {Status: 302, Header: http.Header{"Location": {"http://127.0.0.1:1/"}}},
	} {
		disarm := w.Sim.Fail(func(q *http.Request) bool { return strings.HasPrefix(q.URL.Path, "/openapi") }, fault)
		r.ask(e2e.JoinQuery, e2e.Request{})
		r.ask(e2e.JoinQuery, e2e.Request{Header: w.TokenHeader("demo")})
		disarm()
	}
	w.Sim.ExpireTokens()
	w.Sim.RevokeRefreshTokens()
	r.ask(e2e.JoinQuery, e2e.Request{})

	outputs := r.outputs()
	spans := traces.StopAndCollect(w)
	outputs["traces"] = string(traces.Raw)
	if logs := outputs["logs"]; len(outputs["answers"]) < 1<<19 || strings.Count(logs, "console call") < 100 || strings.Count(logs, "slow operation") < 20 || len(spans) < 200 {
		t.Fatalf("not much of a run: answers of %d bytes, logs of %d, %d spans", len(outputs["answers"]), len(logs), len(spans))
	}
	secrets := d.Secrets()
	if len(secrets) < 200 {
		t.Fatalf("only %d secrets", len(secrets))
	}
	for _, leak := range leaks(outputs, secrets) {
		t.Errorf("a secret stands in %s", leak)
	}
}

// TestConsoleEchoesToken verifies that the caller's token is removed from quoted
// errors of the console.
func TestConsoleEchoesToken(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	header := w.TokenHeader("demo")
	token := strings.TrimPrefix(header["Authorization"], "Bearer ")
	w.Sim.Fail(e2e.ForPath("/openapi/queues"), consolesim.Fault{Status: 400, Title: "Bad " + token, Detail: fmt.Sprintf("The header 'Authorization: Bearer %s' is odd", token)})
	a := w.Ask(`{ queues { totalCount } }`, e2e.Request{Header: header})
	if e := w.OnlyError(a); e.Extensions.Code != "BAD_USER_INPUT" || !strings.Contains(e.Message, "is odd") {
		t.Errorf("%+v", e)
	}
	if strings.Contains(string(a.Body), token) || strings.Contains(w.Logs.String(), token) {
		t.Error("the answer or the log holds the token")
	}
}
