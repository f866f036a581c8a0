package limits

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consoleclient/admission"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestCallerWaitersAreBounded: while the console hangs, some operations of a caller are at the console and
// admission.MaxWaiting wait. Those beyond get Retry-After. All operations of another caller are answered
// before a further call of the first one begins.
func TestCallerWaitersAreBounded(t *testing.T) {
	t.Parallel()
	const places, perCaller, beyond, others = 4, 3, 10, 20
	gate := make(chan struct{})
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.ConsoleConcurrency = places }, e2e.Proxy(t, func(r *http.Request) {
		if strings.HasPrefix(r.URL.Query().Get("Name"), "flood") {
			<-gate
		}
	}, func(_ *http.Request, body string) string { return body }))
	type answered struct {
		*http.Response
		body []byte
	}
	answers := make(chan answered)
	total := perCaller + admission.MaxWaiting + beyond
	ask := func(name string, header map[string]string) answered {
		resp, body := w.Send(http.MethodPost, "/graphql", fmt.Sprintf(`{"query":"{ queues(filter: {name: \"%s\"}) { totalCount } }"}`, name), e2e.MergeHeaders(header, e2e.JSONBody))
		return answered{resp, body}
	}
	for i := range total {
		go func() { answers <- ask(fmt.Sprint("flood ", i), nil) }()
	}
	for range beyond {
		a := <-answers
		said := e2e.Decode[struct {
			Errors []struct {
				Extensions struct {
					Code       string
					RetryAfter int
				}
			}
		}](t, a.body)
		if len(said.Errors) != 1 || said.Errors[0].Extensions.Code != "RATE_LIMITED" || a.Header.Get("Retry-After") != fmt.Sprint(said.Errors[0].Extensions.RetryAfter) || said.Errors[0].Extensions.RetryAfter < 1 {
			t.Errorf("got %s, Retry-After %q", a.body, a.Header.Get("Retry-After"))
		}
	}
	if n := w.Calls()[e2e.Queues]; n > perCaller {
		t.Errorf("the console was called %d times", n)
	}
	owner, _ := w.Sim.DefaultUser()
	header, other := w.TokenHeader(owner), make(chan answered)
	for i := range others {
		go func() { other <- ask(fmt.Sprint("other ", i), header) }()
	}
	for range others {
		if a := <-other; strings.Contains(string(a.body), "errors") {
			t.Errorf("another caller got %s", a.body)
		}
	}
	if n := w.Calls()[e2e.Queues]; n < others || n > perCaller+others {
		t.Errorf("the console was called %d times before the first caller was answered", n)
	}
	close(gate)
	for range total - beyond {
		if a := <-answers; strings.Contains(string(a.body), "errors") {
			t.Errorf("one that waited got %s", a.body)
		}
	}
}

// TestJoinedLoadDoesNotWaitForOneCaller verifies that a caller who joins the load of another API key of the account has
// its own turn. The other key floods the console, which hangs.
func TestJoinedLoadDoesNotWaitForOneCaller(t *testing.T) {
	t.Parallel()
	const flood = 20
	gate := make(chan struct{})
	var flooding, other map[string]string
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache, func(s *gateway.Settings, sim *consolesim.Server) {
		k := &e2e.Keyring{T: t}
		k.Account("owner", sim.Data().Users()[0])
		flooding, other = k.Key("flooding", "owner", ""), k.Key("other", "owner", "")
		s.APIKeysFile, s.ConsoleConcurrency = k.Write(), 4 // of which a caller may have 3
	}, e2e.Proxy(t, func(r *http.Request) {
		if strings.HasPrefix(r.URL.Query().Get("Name"), "flood") {
			<-gate
		}
	}, func(_ *http.Request, body string) string { return body }))
	answers := make(chan []byte)
	ask := func(name string, header map[string]string) []byte {
		header = e2e.MergeHeaders(header, e2e.JSONBody, e2e.ScopeHeader(w.Sim.Data().MainCompanyID(), w.Sim.Data().MainDepartmentID()))
		_, body := w.Send(http.MethodPost, "/graphql", fmt.Sprintf(`{"query":"{ queues(filter: {name: \"%s\"}) { totalCount } }"}`, name), header)
		return body
	}
	waiting := func(n int) func() bool {
		return func() bool {
			return w.MetricWithLabel("consoleql_console_calls_waiting", `class="lists"`) == fmt.Sprint(n)
		}
	}
	for i := range flood {
		go func() { answers <- ask(fmt.Sprint("flood ", i), flooding) }()
	}
	e2e.Await(t, "the flood", waiting(flood-3))
	go func() { answers <- ask("shared", flooding) }()
	e2e.Await(t, "the shared load", waiting(flood-2))
	if body := ask("shared", other); strings.Contains(string(body), "errors") {
		t.Errorf("the other caller got %s", body)
	}
	close(gate)
	for range flood + 1 {
		if body := <-answers; strings.Contains(string(body), "errors") {
			t.Errorf("the flooding caller got %s", body)
		}
	}
	if n := w.Calls()[e2e.Queues]; n != flood+1 {
		t.Errorf("%d calls, want %d", n, flood+1)
	}
}
