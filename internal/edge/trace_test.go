package edge

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/trail"
)

// TestAnAccountCostsNothingWhereNobodyAsks counts what its three places in the path of
// a request allocate without the header.
func TestAnAccountCostsNothingWhereNobodyAsks(t *testing.T) {
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
		mode   trail.TraceMode
	}{
		"none":                {nil, TraceOn, http.StatusOK, trail.Untraced},
		"none, policy off":    {nil, TraceOff, http.StatusOK, trail.Untraced},
		"1":                   {[]string{"1"}, TraceOn, http.StatusOK, trail.TraceRun},
		"1, zero policy":      {[]string{"1"}, "", http.StatusOK, trail.TraceRun},
		"plan":                {[]string{"plan"}, TraceOn, http.StatusOK, trail.TracePlan},
		"other":               {[]string{"0"}, TraceOn, http.StatusBadRequest, trail.Untraced},
		"empty":               {[]string{""}, TraceOn, http.StatusOK, trail.Untraced},
		"empty, policy off":   {[]string{" "}, TraceOff, http.StatusOK, trail.Untraced},
		"one of two empty":    {[]string{"", "1"}, TraceOn, http.StatusOK, trail.TraceRun},
		"other case":          {[]string{"Plan"}, TraceOn, http.StatusBadRequest, trail.Untraced},
		"twice":               {[]string{"1", "plan"}, TraceOn, http.StatusBadRequest, trail.Untraced},
		"policy off":          {[]string{"1"}, TraceOff, http.StatusForbidden, trail.Untraced},
		"no API key":          {[]string{"plan"}, TraceAPIKey, http.StatusForbidden, trail.Untraced},
		"other, policy off":   {[]string{"x"}, TraceOff, http.StatusBadRequest, trail.Untraced},
		"other, no key shown": {[]string{"x"}, TraceAPIKey, http.StatusBadRequest, trail.Untraced},
	} {
		t.Run(name, func(t *testing.T) {
			mode := trail.Untraced
			h := (&server{opts: Options{Trace: tt.policy}}).admitTrace(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				mode = trail.TraceModeOf(r.Context())
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

// TestCallsThatWereJoined: of a read that waited for another's call it is told when that began.
func TestCallsThatWereJoined(t *testing.T) {
	start := time.Now()
	read := trail.Read{Operation: "GET /openapi/robots", Kind: "robots", Began: start.Add(5 * time.Millisecond), Duration: 8 * time.Millisecond, Loaded: start.Add(-12 * time.Millisecond)}
	for source, want := range map[responsecache.Source]*coalescedReport{
		responsecache.Loaded: nil, responsecache.Memory: nil, responsecache.Stale: nil, responsecache.Coalesced: {StartMs: -12},
	} {
		read.Source = source
		got := callOf(read, start, start.Add(20*time.Millisecond))
		if diff := cmp.Diff(want, got.With); diff != "" {
			t.Errorf("%s: - wanted + told: %s", source, diff)
		}
		if got.StartMs != 5 || got.DurationMs != 8 || got.AgeMs == nil || *got.AgeMs != 32 {
			t.Errorf("%s: %+v", source, got)
		}
	}
}
