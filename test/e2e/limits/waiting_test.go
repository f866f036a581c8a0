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
