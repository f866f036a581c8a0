package main

import (
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// asksToWait lets the console answer everything with a status and a Retry-After.
func (w *world) asksToWait(status int, retryAfter string) {
	w.t.Cleanup(w.sim.Fail(func(r *http.Request) bool { return r.URL.Path != "/connect/token" },
		consolesim.Fault{Status: status, Header: http.Header{"Retry-After": {retryAfter}}}))
	w.sim.ResetCounts()
}

func (w *world) consoleCalls() (all int) {
	for _, n := range w.calls() {
		all += n
	}
	return all
}

// told is how long an answer says that its caller should wait, in seconds, by its body and by its header.
func told(t *testing.T, resp *http.Response, body []byte) (seconds int) {
	t.Helper()
	said := decode[struct {
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

// TestRetryAfterIsObeyed: a console that asks to wait is not asked again meanwhile, and callers are told how long.
func TestRetryAfterIsObeyed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status     int
		retryAfter string
		code       string
	}{"429": {429, "20", "RATE_LIMITED"}, "503": {503, "20", "UPSTREAM_UNAVAILABLE"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, consolesim.Options{})
			w.asksToWait(tt.status, tt.retryAfter)
			post := map[string]string{"Content-Type": "application/json"}
			for i := range 20 {
				resp, body := w.send(http.MethodPost, "/graphql", `{"query":"{ robots { totalCount } }"}`, post)
				if i%2 == 1 {
					resp, body = w.send(http.MethodGet, "/graphql?query="+url.QueryEscape("{ queues { totalCount } }"), "", nil)
				}
				if seconds := told(t, resp, body); seconds < 1 || seconds > 20 || i == 0 && seconds != 20 {
					t.Errorf("query %d is told to wait for %d s", i, seconds)
				}
			}
			id := w.sim.Data().WorkflowIDs(w.sim.Data().MainDepartmentID())[0]
			e := w.refused(`mutation($id: ID!) { executeWorkflow(input: {id: $id}) { jobs { id } } }`, request{variables: map[string]any{"id": id}})
			if e.Extensions.Code != tt.code || e.Extensions.Console != nil {
				t.Errorf("a mutation is told %+v", e)
			}
			if n := w.consoleCalls(); n != 1 {
				t.Errorf("the console was called %d times: %v", n, w.calls())
			}
			// Another principal is asked for as before.
			before := w.consoleCalls()
			owner, _ := w.sim.DefaultUser()
			w.ask(`{ robots { totalCount } }`, request{header: w.as(owner)})
			if w.consoleCalls() == before {
				t.Error("another principal waits as well")
			}
		})
	}
}

// TestStaleDataWhileTheConsoleAsksToWait is given where there is some.
func TestStaleDataWhileTheConsoleAsksToWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consolesim.Options{}, func(s *settings, _ *consolesim.Server) { s.Cache = "on" })
	w.query(`{ robots { totalCount } }`, nil)
	time.Sleep(3100 * time.Millisecond) // the life of robots, and what is given while they are read anew
	w.asksToWait(429, "20")
	for range 5 {
		w.query(`{ robots { totalCount } }`, nil)
	}
	if n := w.consoleCalls(); n != 1 {
		t.Errorf("the console was called %d times: %v", n, w.calls())
	}
}

// TestPollsWaitAsTheConsoleAsks, and go on afterwards.
func TestPollsWaitAsTheConsoleAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, standing(consolesim.Options{}))
	s := w.socket(nil)
	s.subscribe("1", `subscription { robotChanged { id } }`)
	w.polls(2)
	disarm := w.sim.Fail(nil, consolesim.Fault{Status: 429, Header: http.Header{"Retry-After": {"2"}}, Times: 1})
	defer disarm()
	w.sim.ResetCounts()
	await(t, "the poll that is refused", func() bool { return w.consoleCalls() > 0 })
	refused := time.Now()
	await(t, "the next poll", func() bool { return w.consoleCalls() > 1 })
	if waited := time.Since(refused); waited < 1500*time.Millisecond {
		t.Errorf("polled again after %v", waited)
	}
	w.polls(2)
}
