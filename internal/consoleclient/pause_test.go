package consoleclient

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// limited is a console, as a round tripper, whose status can be set to ask for a pause.
type limited struct {
	status atomic.Int64 // 0: success
	header http.Header
	calls  atomic.Int64
}

func (l *limited) RoundTrip(*http.Request) (*http.Response, error) {
	l.calls.Add(1)
	w := httptest.NewRecorder()
	if status := l.status.Load(); status != 0 {
		w.Header().Set("Content-Type", "application/problem+json")
		for name, values := range l.header {
			w.Header()[name] = values
		}
		w.WriteHeader(int(status))
		_, _ = w.WriteString(`{"title":"slow down"}`)
	} else {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.WriteString(`{"count":0,"list":[]}`)
	}
	return w.Result(), nil
}

func TestRetryAfterPausesPrincipal(t *testing.T) {
	t.Parallel()
	sc := scope.Scope{CompanyID: "11111111-1111-4111-8111-111111111111", DepartmentID: "22222222-2222-4222-8222-222222222222"}
	for name, tt := range map[string]struct {
		status int
		header http.Header
		pause  time.Duration
		kind   fault.Code
	}{
		"seconds":             {429, http.Header{"Retry-After": {"20"}}, 20 * time.Second, fault.RateLimited},
		"spaces":              {429, http.Header{"Retry-After": {" 20 "}}, 20 * time.Second, fault.RateLimited},
		"503":                 {503, http.Header{"Retry-After": {"7"}}, 7 * time.Second, fault.UpstreamUnavailable},
		"a date":              {429, http.Header{"Retry-After": {"Sat, 01 Jan 2000 00:00:20 GMT"}, "Date": {"Sat, 01 Jan 2000 00:00:00 GMT"}}, 20 * time.Second, fault.RateLimited},
		"a date of our clock": {429, http.Header{"Retry-After": {"Sat, 01 Jan 2000 00:00:20 GMT"}}, 20 * time.Second, fault.RateLimited},
		"a skewed clock":      {429, http.Header{"Retry-After": {"Sat, 01 Jan 2050 00:00:20 GMT"}, "Date": {"Sat, 01 Jan 2050 00:00:00 GMT"}}, 20 * time.Second, fault.RateLimited},
		"a far date":          {429, http.Header{"Retry-After": {"Sat, 01 Jan 2050 00:00:00 GMT"}}, 5 * time.Minute, fault.RateLimited},
		"a day":               {429, http.Header{"Retry-After": {"86400"}}, 5 * time.Minute, fault.RateLimited},
		"no number of ours":   {429, http.Header{"Retry-After": {"99999999999999999999999"}}, 5 * time.Minute, fault.RateLimited},
		"none":                {429, nil, 0, fault.RateLimited},
		"zero":                {429, http.Header{"Retry-After": {"0"}}, 0, fault.RateLimited},
		"negative":            {429, http.Header{"Retry-After": {"-5"}}, 0, fault.RateLimited},
		"the past":            {429, http.Header{"Retry-After": {"Fri, 31 Dec 1999 00:00:00 GMT"}}, 0, fault.RateLimited},
		"nonsense":            {429, http.Header{"Retry-After": {"soon"}}, 0, fault.RateLimited},
		"a status about this": {409, http.Header{"Retry-After": {"20"}}, 0, fault.Conflict},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				console := &limited{header: tt.header}
				console.status.Store(int64(tt.status))
				c, err := New(Options{APIURL: "http://console.test", Tokens: staticToken("t"), Transport: console})
				if err != nil {
					t.Fatal(err)
				}
				caller := principal.NewContext(t.Context(), principal.FromToken("a"))
				other := principal.NewContext(t.Context(), principal.FromToken("b"))
				for i := range 20 {
					_, err := c.Queues(caller, sc, List[QueueFilter]{})
					var said *Error
					if !errors.As(err, &said) || said.Code != tt.kind || tt.status != 409 && (said.RetryAfter != tt.pause && i == 0 || said.RetryAfter > tt.pause) {
						t.Fatalf("call %d: %v, kind %v, retry after %v", i, err, said.Code, said.RetryAfter)
					}
					time.Sleep(time.Millisecond)
				}
				want := int64(1)
				if tt.pause == 0 {
					want = 20
				}
				if n := console.calls.Load(); n != want {
					t.Errorf("20 queries made %d calls, want %d", n, want)
				}
				// A write is not sent either.
				before := console.calls.Load()
				_, err = c.ExecuteWorkflow(caller, sc, "33333333-3333-4333-8333-333333333333", WorkflowExecution{})
				if sent := console.calls.Load() - before; err == nil || sent != 0 && tt.pause > 0 {
					t.Errorf("a write was sent %d times: %v", sent, err)
				}
				if outcome := fault.OutcomeOf(err); tt.pause > 0 && outcome != fault.NotSent {
					t.Errorf("the outcome of a write that was not sent is %q", outcome)
				}
				// A 429 concerns its principal only; a 503 concerns all lists.
				console.status.Store(0)
				if _, err := c.Queues(other, sc, List[QueueFilter]{}); (err != nil) != (tt.status == 503) {
					t.Errorf("another principal: %v", err)
				}
				if _, err := c.Queue(other, sc, guid); fault.CodeOf(err) == tt.kind {
					t.Errorf("another call of another principal: %v", err)
				}
				time.Sleep(tt.pause)
				if _, err := c.Queues(caller, sc, List[QueueFilter]{}); err != nil {
					t.Errorf("after the pause: %v", err)
				}
			})
		})
	}
}

// TestPausedCallsAreNotCounted: a paused call is not observed as a console call.
func TestPausedCallsAreNotCounted(t *testing.T) {
	t.Parallel()
	console := &limited{header: http.Header{"Retry-After": {"60"}}}
	console.status.Store(429)
	var observed atomic.Int64
	c, err := New(Options{
		APIURL: "http://console.test", Tokens: staticToken("t"), Transport: console, Observe: func(context.Context, Call) { observed.Add(1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := c.Self(t.Context(), scope.Scope{}); err == nil || strings.Contains(err.Error(), "console.test") {
			t.Errorf("got %v", err)
		}
	}
	if n := observed.Load(); n != 1 {
		t.Errorf("%d calls are observed, want 1", n)
	}
}
