package mutation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/idempotency"
	"github.com/consoleql/consoleql/internal/scope"
)

// tokens returns a fixed token or an error.
type tokens struct{ err error }

func (t tokens) Token(context.Context) (string, error) { return "token", t.err }

func (tokens) Refused(context.Context, string) {}

// executed returns the error of an execution that handler answers.
func executed(t *testing.T, handler http.HandlerFunc, adjust ...func(*cc.Options)) error {
	t.Helper()
	console := httptest.NewServer(handler)
	t.Cleanup(console.Close)
	o := cc.Options{APIURL: console.URL, Tokens: tokens{}}
	for _, f := range adjust {
		f(&o)
	}
	client, err := cc.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	const id = "0b8b2a3e-6f7c-4c55-9d57-0d0f9a3c1e11"
	_, err = client.ExecuteWorkflow(t.Context(), scope.Scope{CompanyID: id, DepartmentID: id}, id, cc.WorkflowExecution{})
	if err == nil {
		t.Fatal("it did not fail")
	}
	return err
}

func wantOutcome(t *testing.T, err error, want idempotency.Outcome) {
	t.Helper()
	if got := recorded(err); got != want {
		t.Errorf("outcome %d, want %d, of %#v", got, want, err)
	}
}

// TestOutcomeByStatus verifies that a key becomes free only after the console's own
// refusals.
func TestOutcomeByStatus(t *testing.T) {
	const problem, page, nothing = `{"title":"No","status":400}`, "<html>", ""
	for _, tt := range []struct {
		want     idempotency.Outcome
		body     string
		statuses []int
	}{
		{idempotency.NotStarted, problem, []int{400, 401, 403, 404, 405, 409, 410, 412, 413, 415, 422, 429}},
		{idempotency.NotStarted, nothing, []int{403, 429}},
		{idempotency.Unknown, problem, []int{302, 402, 406, 408, 418, 425, 451, 499, 500, 501, 502, 503, 504, 599}},
		{idempotency.Unknown, page, []int{400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 429, 503}},
		{idempotency.Unknown, nothing, []int{400, 404, 405, 409, 412, 415, 422, 499, 503}},
	} {
		for _, status := range tt.statuses {
			t.Run(fmt.Sprintf("%d %q", status, tt.body), func(t *testing.T) {
				err := executed(t, func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(status)
					_, _ = io.WriteString(w, tt.body)
				})
				wantOutcome(t, err, tt.want)
				wantOutcome(t, fmt.Errorf("wrapped: %w", err), tt.want)
			})
		}
	}
}

// TestOutcomeWithoutResponse verifies that a request the console may have received counts as
// possibly executed.
func TestOutcomeWithoutResponse(t *testing.T) {
	ends := func(end func(*net.TCPConn)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			end(conn.(*net.TCPConn))
		}
	}
	never := func(http.ResponseWriter, *http.Request) { t.Error("it has been asked") }
	for name, tt := range map[string]struct {
		err  error
		want idempotency.Outcome
	}{
		"not connected": {executed(t, never, func(o *cc.Options) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			o.APIURL = "http://" + l.Addr().String()
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}), idempotency.NotStarted},
		"reset while the answer was awaited": {executed(t, ends(func(c *net.TCPConn) {
			_ = c.SetLinger(0) // closes with a reset
			_ = c.Close()
		})), idempotency.Unknown},
		"closed while the answer was awaited": {executed(t, ends(func(c *net.TCPConn) { _ = c.Close() })), idempotency.Unknown},
		"not answered in time": {executed(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // otherwise the client's end is not detected
			<-r.Context().Done()
		}, func(o *cc.Options) { o.WriteTimeout = 50 * time.Millisecond }), idempotency.Unknown},
		"answered with no jobs but a page": {executed(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }), idempotency.Unknown},
		"refused by the gateway itself": {executed(t, never, func(o *cc.Options) {
			o.Permit = func(context.Context, scope.Scope) error { return fault.New(fault.Forbidden, "not with this key") }
		}), idempotency.NotStarted},
		"without a token to ask with": {executed(t, never, func(o *cc.Options) {
			o.Tokens = tokens{fault.New(fault.UpstreamUnavailable, "the SSO is away")}
		}), idempotency.NotStarted},
		"cancelled":     {fmt.Errorf("%s: %w", cc.OpExecuteWorkflow, context.Canceled), idempotency.Unknown},
		"anything else": {errors.New("out of paper"), idempotency.Unknown},
	} {
		t.Run(name, func(t *testing.T) { wantOutcome(t, tt.err, tt.want) })
	}
}

// doing is an Idempotency that returns one error for each call.
type doing []error

func (d *doing) Do(context.Context, idempotency.Key, []byte, idempotency.Run) ([]byte, error) {
	err := (*d)[0]
	*d = (*d)[1:]
	return nil, err
}

// TestKnownOutcomeIsKept verifies that a change that is known to be made is answered so if its result cannot be read.
func TestKnownOutcomeIsKept(t *testing.T) {
	made := fault.WithOutcome(fmt.Errorf("kept elsewhere: %w", idempotency.ErrTooLarge), fault.Done)
	for _, then := range []error{
		fault.WithOutcome(errors.New("the store is away"), fault.NotSent),
		fault.WithOutcome(idempotency.ErrUnknown, fault.Unknown),
	} {
		s := &Service{idempotency: &doing{made, then}}
		_, err := s.doInDepartment(t.Context(), idempotency.Key{}, "account", nil, scope.Scope{}, nil, nil)
		if fault.OutcomeOf(err) != fault.Done || !errors.Is(err, idempotency.ErrTooLarge) {
			t.Errorf("after %v: %v", then, err)
		}
	}
}
