package operations

import (
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// retryAfterOf returns the Retry-After of an answer in seconds, by its body and by its header.
func retryAfterOf(t *testing.T, resp *http.Response, body []byte) (seconds int) {
	t.Helper()
	said := e2e.Decode[struct {
		Errors []struct {
			Extensions struct {
				Code       string
				RetryAfter int
				Console    map[string]any
			}
		}
	}](t, body)
	if len(said.Errors) != 1 {
		t.Fatalf("%d errors: %s", len(said.Errors), body)
	}
	inBody := said.Errors[0].Extensions.RetryAfter
	if header := resp.Header.Get("Retry-After"); header != strconv.Itoa(inBody) {
		t.Errorf("Retry-After: %s, extensions.retryAfter: %d", header, inBody)
	}
	return inBody
}

// TestRetryAfterIsObeyed verifies that no call is made during the console's Retry-After, and
// that callers get the remaining time.
func TestRetryAfterIsObeyed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status     int
		retryAfter string
		code       string
	}{"429": {429, "20", "RATE_LIMITED"}, "503": {503, "20", "UPSTREAM_UNAVAILABLE"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, consolesim.Options{})
			answerRetryAfter(w, tt.status, tt.retryAfter)
			post := map[string]string{"Content-Type": "application/json"}
			for i := range 20 {
				resp, body := w.Send(http.MethodPost, "/graphql", `{"query":"{ robots { totalCount } }"}`, post)
				if i%2 == 1 {
					resp, body = w.Send(http.MethodGet, "/graphql?query="+url.QueryEscape("{ queues { totalCount } }"), "", nil)
				}
				if seconds := retryAfterOf(t, resp, body); seconds < 1 || seconds > 20 || i == 0 && seconds != 20 {
					t.Errorf("query %d has to wait for %d s", i, seconds)
				}
			}
			id := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
			e := w.ExpectRefusal(`mutation($id: ID!) { executeWorkflow(input: {id: $id}) { jobs { id } } }`, e2e.Request{Variables: map[string]any{"id": id}})
			if e.Extensions.Code != tt.code || e.Extensions.Console != nil {
				t.Errorf("a mutation got %+v", e)
			}
			if n := w.TotalCalls(); n != 1 {
				t.Errorf("the console was called %d times: %v", n, w.Calls())
			}
			// A 429 concerns its principal, a 503 all lists.
			before := w.TotalCalls()
			owner, _ := w.Sim.DefaultUser()
			w.Ask(`{ robots { totalCount } }`, e2e.Request{Header: w.TokenHeader(owner)})
			if asked := w.TotalCalls() > before; asked != (tt.status == 429) {
				t.Errorf("another principal is asked for: %t", asked)
			}
		})
	}
}

// TestStaleDataDuringRetryAfter verifies that stale answers are used meanwhile.
func TestStaleDataDuringRetryAfter(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.Cache = "on" })
	w.Query(`{ robots { totalCount } }`, nil)
	time.Sleep(3100 * time.Millisecond) // the lifetime of robots, and their stale-while-revalidate window
	answerRetryAfter(w, 429, "20")
	for range 5 {
		w.Query(`{ robots { totalCount } }`, nil)
	}
	if n := w.TotalCalls(); n != 1 {
		t.Errorf("the console was called %d times: %v", n, w.Calls())
	}
}

// TestPollsObeyRetryAfter verifies that polls wait and continue afterwards.
func TestPollsObeyRetryAfter(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}))
	s := w.Socket(nil)
	s.Subscribe("1", `subscription { robotChanged { id } }`)
	w.AwaitPolls(2)
	disarm := w.Sim.Fail(nil, consolesim.Fault{Status: 429, Header: http.Header{"Retry-After": {"2"}}, Times: 1})
	defer disarm()
	w.Sim.ResetCounts()
	e2e.Await(t, "the poll that is refused", func() bool { return w.TotalCalls() > 0 })
	refused := time.Now()
	e2e.Await(t, "the next poll", func() bool { return w.TotalCalls() > 1 })
	if waited := time.Since(refused); waited < 1500*time.Millisecond {
		t.Errorf("polled again after %v", waited)
	}
	w.AwaitPolls(2)
}

// answerRetryAfter makes the console answer every call with a status and a Retry-After.
func answerRetryAfter(w *e2e.World, status int, retryAfter string) {
	w.T.Cleanup(w.Sim.Fail(func(r *http.Request) bool { return r.URL.Path != "/connect/token" },
		consolesim.Fault{Status: status, Header: http.Header{"Retry-After": {retryAfter}}}))
	w.Sim.ResetCounts()
}
