package consoleclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

func TestTimeouts(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	slowBody := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"list":[`)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	for name, answer := range map[string]http.HandlerFunc{"no answer": hang, "half an answer": slowBody} {
		t.Run(name+", our timeout", func(t *testing.T) {
			client := newTestClient(t, serve(t, answer), func(o *Options) { o.Timeout = 50 * time.Millisecond })
			_, err := client.Robots(t.Context(), testScope, List[RobotFilter]{})
			if fault.CodeOf(err) != fault.UpstreamTimeout || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
		t.Run(name+", the caller's", func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := newTestClient(t, serve(t, answer), nil).Robots(ctx, testScope, List[RobotFilter]{})
			if fault.CodeOf(err) != fault.UpstreamTimeout {
				t.Errorf("got %v", err)
			}
		})
		t.Run(name+", cancelled", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			_, err := newTestClient(t, serve(t, answer), nil).Robots(ctx, testScope, List[RobotFilter]{})
			if !errors.Is(err, context.Canceled) || fault.CodeOf(err) == fault.UpstreamTimeout {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestUploadHasItsOwnTimeout(t *testing.T) {
	console := serve(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(100 * time.Millisecond)
		jsonAnswer(`{"packageId":"`+guid+`"}`)(w, r)
	})
	client := newTestClient(t, console, func(o *Options) { o.Timeout = 20 * time.Millisecond })
	if _, err := client.UploadPackage(t.Context(), testScope, strings.NewReader("x"), 1); err != nil {
		t.Error(err)
	}
	if err := client.PutPackageFile(t.Context(), UploadChannel{URI: console.URL}, strings.NewReader("x"), 1); err != nil {
		t.Error(err)
	}
}

type failingTokens struct{ err error }

func (f failingTokens) Token(context.Context) (string, error) { return "", f.err }

func (failingTokens) Refused(context.Context, string) {}

func TestTokenFails(t *testing.T) {
	console := serve(t, jsonAnswer(`{}`))
	client := newTestClient(t, console, func(o *Options) {
		o.Tokens = failingTokens{fault.New(fault.Unauthenticated, "sign in again")}
	})
	_, err := client.Self(t.Context(), testScope)
	if fault.CodeOf(err) != fault.Unauthenticated {
		t.Errorf("got %v", err)
	}
	if n := len(console.all()); n != 0 {
		t.Errorf("the console was asked %d times", n)
	}
}

// onceTokens has one token and fails after its refusal.
type onceTokens struct {
	asked *int
	err   error
}

func (t onceTokens) Token(context.Context) (string, error) {
	if *t.asked++; *t.asked > 1 {
		return "", t.err
	}
	return "first", nil
}

func (onceTokens) Refused(context.Context, string) {}

// TestTokenSurvivesSSOOutage: an unavailable SSO does not make the caller unauthenticated.
func TestTokenSurvivesSSOOutage(t *testing.T) {
	console := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		w.WriteHeader(http.StatusUnauthorized)
	})
	for _, code := range []fault.Code{fault.UpstreamUnavailable, fault.Unauthenticated} {
		client := newTestClient(t, console, func(o *Options) { o.Tokens = onceTokens{new(int), fault.New(code, "no token")} })
		if _, err := client.Self(t.Context(), testScope); fault.CodeOf(err) != code {
			t.Errorf("got %v, want %s", err, code)
		}
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	elsewhere := serve(t, jsonAnswer(`{"id":"1"}`))
	console := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusFound)
	})
	_, err := newTestClient(t, console, nil).Robot(t.Context(), testScope, guid)
	if fault.CodeOf(err) != fault.UpstreamInvalidResponse || len(elsewhere.all()) != 0 {
		t.Errorf("got %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	console := serve(t, jsonAnswer(``))
	client := newTestClient(t, console, nil)
	console.Close()
	_, err := client.Queues(t.Context(), testScope, List[QueueFilter]{Filter: QueueFilter{Name: "a-secret-name"}})
	if fault.CodeOf(err) != fault.UpstreamUnavailable {
		t.Errorf("got %v", err)
	}
	if want := "GET /openapi/queues: no answer: connection refused"; err == nil || err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestConnectionErrorReason(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"name":        {&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "console.test"}}, "the host name was not found"},
		"certificate": {&tls.CertificateVerificationError{Err: errors.New("console.test")}, "the certificate is not trusted"},
		"refused":     {&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, "connection refused"},
		"closed":      {fmt.Errorf("console.test: %w", io.EOF), "the connection was closed"},
		"cut short":   {io.ErrUnexpectedEOF, "the connection was closed"},
		"another":     {errors.New("console.test"), "the connection failed"},
	} {
		if got := reason(c.err); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestObserve(t *testing.T) {
	var mu sync.Mutex
	var calls []Call
	console := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusConflict)
			return
		}
		jsonAnswer(`{"count":0,"list":[]}`)(w, r)
	})
	client := newTestClient(t, console, func(o *Options) {
		o.Observe = func(_ context.Context, c Call) {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, c)
		}
	})
	_, err := client.Robots(t.Context(), testScope, List[RobotFilter]{})
	if err != nil {
		t.Fatal(err)
	}
	refused := client.DeletePackage(t.Context(), testScope, guid)
	console.Close()
	unreachable := client.DeleteQueue(t.Context(), testScope, guid)
	want := []Call{
		{Operation: "GET /openapi/robots", Status: 200},
		{Operation: "DELETE /openapi/packages/{packageId}", Status: 409, Err: refused},
		{Operation: "DELETE /openapi/queues/{queueId}", Err: unreachable},
	}
	if len(calls) != len(want) {
		t.Fatalf("got %d calls, want %d", len(calls), len(want))
	}
	for i, c := range calls {
		if c.Duration <= 0 {
			t.Errorf("call %d took %v", i, c.Duration)
		}
		if c.Duration = 0; c != want[i] {
			t.Errorf("call %d: got %+v, want %+v", i, c, want[i])
		}
	}
}

// TestConnectionIsReused: responses are drained on success and failure, so that one connection serves all calls.
func TestConnectionIsReused(t *testing.T) {
	var n atomic.Int64
	console := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodDelete:
			jsonAnswer(`{"id":"`+guid+`","name":"`+strings.Repeat("x", 10_000)+`"}`)(w, r)
		case strings.Contains(r.URL.Path, guid):
			statusAnswer(http.StatusNotFound, "text/html", strings.Repeat("y", 100_000))(w, r)
		default:
			jsonAnswer(`{"count":0,"list":[]}`+strings.Repeat(" ", 20_000))(w, r)
		}
	}))
	console.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			n.Add(1)
		}
	}
	console.Start()
	t.Cleanup(console.Close)
	client, err := New(Options{APIURL: console.URL, Tokens: staticToken(bearer)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	for range 34 {
		if _, err := client.Robots(t.Context(), testScope, List[RobotFilter]{}); err != nil {
			t.Fatal(err)
		}
		if err := client.DeleteQueue(t.Context(), testScope, guid); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Robot(t.Context(), testScope, guid); fault.CodeOf(err) != fault.UpstreamInvalidResponse {
			t.Fatal(err)
		}
	}
	if got := n.Load(); got != 1 {
		t.Errorf("102 calls took %d connections", got)
	}
}

func TestScopes(t *testing.T) {
	const ownCompany, ownDepartment = "AAAAAAAA-f359-4b9f-949f-ad179bcf1397", "bbbbbbbb-f359-4b9f-949f-ad179bcf1397"
	origin := testScope
	own := scope.Scope{CompanyID: strings.ToLower(ownCompany), DepartmentID: ownDepartment}
	ids := func(w *Workflow) *Workflow {
		w.CompanyID, w.DepartmentID = ptr(ownCompany), ptr(ownDepartment)
		return w
	}
	stamped := func(s interface {
		Stamp(scope.Scope)
		Scope() scope.Scope
	}) scope.Scope {
		s.Stamp(origin)
		return s.Scope()
	}
	layout := &WorkflowLayout{DepartmentID: ptr(ownDepartment), Nodes: []*WorkflowLayoutNode{{}}}
	layout.Stamp(origin)
	group := &JobGroup{CompanyID: ptr(ownCompany), Jobs: []*Job{{}, {DepartmentID: ptr(ownDepartment)}}}
	group.Stamp(origin)
	pkg := &Package{CompanyID: ptr(ownCompany), DepartmentID: ptr(ownDepartment), Versions: []*PackageVersion{{}}}
	pkg.Stamp(origin)
	tree := &DepartmentTree{RootDepartment: &Department{ID: "r", CompanyID: ptr(ownCompany), Children: []*Department{{ID: "c"}}}}
	tree.Stamp(origin)
	for name, c := range map[string]struct{ got, want scope.Scope }{
		"workflow, its own":      {stamped(ids(&Workflow{})), own},
		"workflow, the request":  {stamped(&Workflow{}), origin},
		"workflow, empty ids":    {stamped(&Workflow{CompanyID: ptr(""), DepartmentID: ptr("")}), origin},
		"robot":                  {stamped(&Robot{}), origin},
		"queue":                  {stamped(&Queue{DepartmentID: ptr(ownDepartment)}), scope.Scope{CompanyID: company, DepartmentID: ownDepartment}},
		"user":                   {stamped(&CompanyUser{CompanyID: ptr(ownCompany)}), scope.Scope{CompanyID: own.CompanyID, DepartmentID: department}},
		"upload":                 {stamped(&PackageUpload{}), origin},
		"uploaded":               {stamped(&UploadedPackage{}), origin},
		"layout":                 {layout.Scope(), scope.Scope{CompanyID: company, DepartmentID: ownDepartment}},
		"node, its layout's":     {layout.Nodes[0].Scope(), scope.Scope{CompanyID: company, DepartmentID: ownDepartment}},
		"job, its group's":       {group.Jobs[0].Scope(), scope.Scope{CompanyID: own.CompanyID, DepartmentID: department}},
		"job, its own":           {group.Jobs[1].Scope(), own},
		"version, its package's": {pkg.Versions[0].Scope(), own},
		"department":             {tree.RootDepartment.Scope(), scope.Scope{CompanyID: own.CompanyID, DepartmentID: "r"}},
		"child department":       {tree.RootDepartment.Children[0].Scope(), scope.Scope{CompanyID: company, DepartmentID: "c"}},
		"company":                {(&Company{ID: "i", CompanyID: ptr(ownCompany)}).Scope(), scope.Scope{CompanyID: own.CompanyID}},
		"company without its id": {(&Company{ID: "i"}).Scope(), scope.Scope{CompanyID: "i"}},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", name, c.got, c.want)
		}
	}
}

// TestAnswersAreStamped: entities carry the scope of their request in every form of response.
func TestAnswersAreStamped(t *testing.T) {
	const bare = `{"id":"` + guid + `","rootDepartment":{"id":"` + department + `"},"jobs":[{"id":"1"}],"nodes":[{"id":"1"}]}`
	single := newTestClient(t, serve(t, jsonAnswer(bare)), nil)
	listed := newTestClient(t, serve(t, jsonAnswer(`[`+bare+`]`)), nil)
	ctx := t.Context()
	check := func(name string, e interface{ Scope() scope.Scope }, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if e.Scope() != testScope {
			t.Errorf("%s: got %v", name, e.Scope())
		}
	}
	w, err := single.Workflow(ctx, testScope, guid)
	check("workflow", w, err)
	tree, err := single.DepartmentTree(ctx, testScope)
	check("tree", tree.RootDepartment, err)
	g, err := single.ExecuteWorkflowLayout(ctx, testScope, guid)
	check("job of a group", g.Jobs[0], err)
	l, err := single.WorkflowLayout(ctx, testScope, guid)
	check("node", l.Nodes[0], err)
	robots, err := listed.WorkflowRobots(ctx, testScope, guid, 0, 0)
	check("robot", robots.List[0], err)
	jobs, err := listed.ExecuteWorkflow(ctx, testScope, guid, WorkflowExecution{})
	check("job", jobs[0], err)
}
