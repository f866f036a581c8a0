package consolesim

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestScale(t *testing.T) {
	c := start(t, Options{Scale: 10_000})
	total := 0
	for _, co := range c.Data().Companies() {
		for _, dept := range co.DepartmentIDs {
			total += len(c.Data().WorkflowIDs(dept))
		}
	}
	if total != 10_000 {
		t.Errorf("%d workflows, want 10000", total)
	}
	n := len(c.Data().WorkflowIDs(c.dept))
	o := c.get(fmt.Sprintf("/openapi/workflows?PageSize=500&PageIndex=%d", (n-1)/500)).object()
	if len(o.list("list")) != (n-1)%500+1 || o.int("count") != n {
		t.Errorf("last page has %d of %d", len(o.list("list")), o.int("count"))
	}
}

func TestPathsAndMethods(t *testing.T) {
	c := start(t, Options{})
	c.get("/OpenAPI/Queues")
	c.get("/openapi/queues/")
	c.call(http.MethodGet, "/openapi/nothing", "").problem(http.StatusNotFound, "")
	c.call(http.MethodGet, "/", "").problem(http.StatusNotFound, "")
	if a := c.call(http.MethodPut, "/openapi/queues", `{}`).problem(http.StatusMethodNotAllowed, "PUT"); a.header.Get("Allow") != "GET, POST" {
		t.Errorf("Allow %q", a.header.Get("Allow"))
	}
	if n := c.Counts(); n["GET /openapi/queues"] != 2 || n["unknown"] != 3 {
		t.Errorf("counts %v", n)
	}
}

func TestOperationsMatchDocument(t *testing.T) {
	c := start(t, Options{})
	count := map[string]bool{}
	for _, l := range [][]*route{c.apiRoutes(), c.ssoRoutes(), c.storageRoutes()} {
		for _, rt := range l {
			count[rt.operation] = true
		}
	}
	for _, op := range []string{"GET /.well-known/openid-configuration", "GET /.well-known/openid-configuration/jwks", "POST /openapi/queues"} {
		if !count[op] {
			t.Errorf("no %s", op)
		}
		delete(count, op)
	}
	// Both grants share one path.
	if got := len(count) + 1; got != 33 {
		t.Errorf("%d operations, want 33: %v", got, count)
	}
}

func TestRequestLog(t *testing.T) {
	c := start(t, Options{})
	c.get("/openapi/queues?Name=x")
	c.call(http.MethodPost, "/openapi/queues", `{"name":"logged"}`).want(http.StatusOK)
	l := c.Requests()
	if len(l) != 2 {
		t.Fatalf("%d requests, want 2", len(l))
	}
	if q := l[0]; q.Operation != "GET /openapi/queues" || q.Method != http.MethodGet || q.Path != "/openapi/queues" || q.RawQuery != "Name=x" ||
		q.CompanyID != c.company || q.DepartmentID != c.dept || q.Status != http.StatusOK || q.End.Before(q.Start) || q.Body != nil ||
		q.Header.Get("Authorization") != "Bearer "+c.token {
		t.Errorf("request %+v", q)
	}
	if q := l[1]; string(q.Body) != `{"name":"logged"}` || q.Operation != "POST /openapi/queues" {
		t.Errorf("request %+v", q)
	}
	c.ResetCounts()
	if len(c.Requests()) != 0 || len(c.Counts()) != 0 {
		t.Error("ResetCounts left something")
	}
}

func TestRequestLogIsBounded(t *testing.T) {
	j := newJournal()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	big := bytes.Repeat([]byte("x"), 2*maxLoggedBody)
	for i := range maxLoggedRequests + 10 {
		q := j.begin(fmt.Sprint(i), r)
		j.body(q, big)
		j.finish(q, 200)
	}
	l := j.snapshot()
	stored := 0
	for _, q := range l {
		stored += len(q.Body)
	}
	if len(l) != maxLoggedRequests || l[0].Operation != "10" || l[len(l)-1].Operation != fmt.Sprint(maxLoggedRequests+9) || stored > maxLoggedBodies {
		t.Errorf("%d requests from %s to %s with %d bytes", len(l), l[0].Operation, l[len(l)-1].Operation, stored)
	}
}

func TestLogContainsNoSecret(t *testing.T) {
	var mu sync.Mutex
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(lockedWriter{&mu, &out}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c := start(t, Options{Logger: logger})
	user, password := c.DefaultUser()
	o := c.form(grant("password", "username", user, "password", password)).object()
	c.form(grant("refresh_token", "refresh_token", o.str("refresh_token")))
	c.get("/openapi/robots")
	if err := c.Close(); err != nil { // the last line is written after the answer
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "POST /connect/token") {
		t.Errorf("log %q", out.String())
	}
	for _, s := range c.Data().Secrets() {
		if strings.Contains(out.String(), s) {
			t.Errorf("the log holds the secret %q", s)
		}
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  *bytes.Buffer
}

func (l lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

func TestStartAndStop(t *testing.T) {
	c := start(t, Options{})
	if _, err := Start(t.Context(), Options{SSOAddr: strings.TrimPrefix(c.APIURL(), "http://")}); err == nil {
		t.Error("Start on a taken address succeeded")
	}
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Start(ctx, Options{})
	if err != nil {
		t.Fatal(err)
	}
	other := &console{Server: s, t: t, http: c.http}
	cancel()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if _, err := other.send(http.MethodGet, s.APIURL()+"/", nil, nil); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the end of the context did not stop the server")
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestCloseAbortsRequests(t *testing.T) {
	c := start(t, Options{Latency: time.Hour})
	done := make(chan error, 1)
	go func() {
		_, err := c.send(http.MethodGet, c.APIURL()+"/openapi/queues", nil, nil)
		done <- err
	}()
	for len(c.Requests()) == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("a call outlived its server")
	}
}

func TestConcurrentUse(t *testing.T) {
	c := start(t, Options{})
	d := c.Data()
	flow, queue := d.WorkflowIDs(c.dept)[0], d.QueueIDs(c.dept)[0]
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 15 {
				c.try(http.MethodGet, "/openapi/workflows?PageSize=50", "", http.StatusOK)
				c.try(http.MethodGet, "/openapi/robots?AssociatedQueueId="+queue, "", http.StatusOK)
				c.try(http.MethodPatch, "/openapi/workflows/"+flow, fmt.Sprintf(`{"priority":%d}`, i*100+n), http.StatusOK)
				c.try(http.MethodPost, "/openapi/workflows/"+flow+"/execute", `{}`, http.StatusOK)
				id := fmt.Sprintf("abcdef00-0000-4000-8000-00000000%02d%02d", i, n)
				c.try(http.MethodPost, "/openapi/queues/"+id, `{"name":"n"}`, http.StatusOK)
				c.try(http.MethodDelete, "/openapi/queues/"+id, `{}`, http.StatusNoContent)
				d.Jobs()
				c.TouchWorkflow(flow)
				c.SetRobotStatus(d.RobotIDs(c.dept)[n], "Busy")
				if len(c.Requests()) == 0 || c.Counts()["GET /openapi/workflows"] == 0 || len(d.Secrets()) == 0 {
					t.Error("nothing was recorded")
				}
			}
		})
	}
	wg.Wait()
	if got := len(d.Jobs()); got != 8*15 {
		t.Errorf("%d jobs, want %d", got, 8*15)
	}
	ids := d.WorkflowIDs(c.dept)
	if slices.Index(ids, flow) != 0 {
		t.Error("updates changed the order")
	}
}

func BenchmarkWorkflowPage(b *testing.B) {
	s, err := Start(b.Context(), Options{Scale: 10_000})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	user, _ := s.DefaultUser()
	token := s.Token(user)
	h := s.handler(s.apiRoutes(), 0)
	for b.Loop() {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "/openapi/workflows?PageSize=50", nil)
		if err != nil {
			b.Fatal(err)
		}
		r.Header = http.Header{"Authorization": {"Bearer " + token}, "Companyid": {s.Data().MainCompanyID()}, "Departmentid": {s.Data().MainDepartmentID()}}
		r.Body = http.NoBody
		h.ServeHTTP(discard{http.Header{}}, r)
	}
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}
