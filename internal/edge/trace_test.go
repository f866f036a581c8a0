package edge

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/responsecache"
)

// TestUntracedOperationsDoNotAllocate counts the allocations of the tracer's three functions
// without the trace header.
func TestUntracedOperationsDoNotAllocate(t *testing.T) {
	ctx := context.Background()
	tr := &tracer{cached: true}
	resp := &graphql.Response{}
	execute := func(context.Context) graphql.ResponseHandler { return nil }
	respond := func(context.Context) *graphql.Response { return resp }
	admit := (&server{}).admitTrace(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/graphql", http.NoBody)
	for name, f := range map[string]func(){
		"the request":   func() { admit.ServeHTTP(w, r) },
		"the operation": func() { tr.InterceptOperation(ctx, execute) },
		"the response":  func() { tr.InterceptResponse(ctx, respond) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if resp.Extensions != nil {
		t.Errorf("extensions %v", resp.Extensions)
	}
}

func TestTraceHeader(t *testing.T) {
	for name, tt := range map[string]struct {
		values []string
		policy TracePolicy
		status int
		mode   operation.TraceMode
	}{
		"none":                {nil, TraceOn, http.StatusOK, operation.Untraced},
		"none, policy off":    {nil, TraceOff, http.StatusOK, operation.Untraced},
		"1":                   {[]string{"1"}, TraceOn, http.StatusOK, operation.TraceRun},
		"1, zero policy":      {[]string{"1"}, "", http.StatusOK, operation.TraceRun},
		"plan":                {[]string{"plan"}, TraceOn, http.StatusOK, operation.TracePlan},
		"other":               {[]string{"0"}, TraceOn, http.StatusBadRequest, operation.Untraced},
		"empty":               {[]string{""}, TraceOn, http.StatusOK, operation.Untraced},
		"empty, policy off":   {[]string{" "}, TraceOff, http.StatusOK, operation.Untraced},
		"one of two empty":    {[]string{"", "1"}, TraceOn, http.StatusOK, operation.TraceRun},
		"other case":          {[]string{"Plan"}, TraceOn, http.StatusBadRequest, operation.Untraced},
		"twice":               {[]string{"1", "plan"}, TraceOn, http.StatusBadRequest, operation.Untraced},
		"policy off":          {[]string{"1"}, TraceOff, http.StatusForbidden, operation.Untraced},
		"no API key":          {[]string{"plan"}, TraceAPIKey, http.StatusForbidden, operation.Untraced},
		"other, policy off":   {[]string{"x"}, TraceOff, http.StatusBadRequest, operation.Untraced},
		"other, no key shown": {[]string{"x"}, TraceAPIKey, http.StatusBadRequest, operation.Untraced},
	} {
		t.Run(name, func(t *testing.T) {
			mode := operation.Untraced
			h := (&server{opts: Options{Trace: tt.policy}}).admitTrace(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				mode = operation.TraceModeOf(r.Context())
			}))
			w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/graphql", http.NoBody)
			for _, v := range tt.values {
				r.Header.Add("X-ConsoleQL-Trace", v)
			}
			h.ServeHTTP(w, r)
			if w.Code != tt.status || mode != tt.mode {
				t.Errorf("status %d, mode %d; want %d, %d", w.Code, mode, tt.status, tt.mode)
			}
		})
	}
}

// TestCoalescedCalls verifies that a read that joined another call reports when that call
// began.
func TestCoalescedCalls(t *testing.T) {
	start := time.Now()
	read := operation.Read{Operation: "GET /openapi/robots", Kind: "robots", Began: start.Add(5 * time.Millisecond), Duration: 8 * time.Millisecond, Loaded: start.Add(-12 * time.Millisecond)}
	for source, want := range map[responsecache.Source]*coalescedReport{
		responsecache.Loaded: nil, responsecache.Memory: nil, responsecache.Stale: nil, responsecache.Coalesced: {StartMs: -12},
	} {
		read.Source = source
		got := callOf(read, start, start.Add(20*time.Millisecond))
		if diff := cmp.Diff(want, got.With); diff != "" {
			t.Errorf("%s: - want + got: %s", source, diff)
		}
		if got.StartMs != 5 || got.DurationMs != 8 || got.AgeMs == nil || *got.AgeMs != 32 {
			t.Errorf("%s: %+v", source, got)
		}
	}
}
