package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/telemetry"
)

// runTests runs the tests of a package, checks that no goroutine outlives them, and ends the process. It is for TestMain.
func runTests(m *testing.M) {
	telemetry.SilenceLibraries()
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		release.remove()
		os.Exit(code)
	}))
}

// world is a simulated console and a gateway in front of it, both over real HTTP.
type world struct {
	t    testing.TB
	sim  *consolesim.Server
	url  string // of the gateway
	adm  string // of its admin listener
	logs *lockedBuffer
	http *http.Client

	stop    func()       // tells the gateway to stop
	stopped func() error // waits until it has
}

// lockedBuffer is a buffer that goroutines may share.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// newSim starts a simulated console, which ends with the test.
func newSim(t testing.TB, o consolesim.Options) *consolesim.Server {
	t.Helper()
	sim, err := consolesim.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Errorf("simulator: %v", err)
		}
	})
	return sim
}

// newWorld starts both. The gateway acts as the simulator's owner for callers
// without credentials, in its main department, and has its token already;
// adjust may change that.
func newWorld(t testing.TB, o consolesim.Options, adjust ...func(*settings, *consolesim.Server)) *world {
	t.Helper()
	sim := newSim(t, o)
	username, password := sim.DefaultUser()
	s := &settings{
		listeners: listeners{Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", ShutdownTimeout: 10 * time.Second},
		console: console{
			ConsoleURL: sim.APIURL(), SSOURL: sim.SSOURL(), ConsoleIDs: "auto", ConsoleTimeout: 20 * time.Second,
			silence:            time.Hour, // on a busy machine a console seems silent, and a second call would be counted
			ConsoleConcurrency: 256, ConsoleMaxResponseBytes: 64 << 20, OperationConcurrency: 64,
			ConsoleQueueCreatePath: "/openapi/queues/{queueId}",
			CompanyID:              sim.Data().MainCompanyID(), DepartmentID: sim.Data().MainDepartmentID(),
		},
		account:  account{Username: username, Password: password, Anonymous: true},
		identity: identity{VerifyTokens: "off", SessionLifetime: time.Hour},
		shared:   shared{IdempotencyRetention: time.Hour},
		caching:  caching{Cache: "off", CacheBytes: 64 << 20, AnswerBytes: 64 << 20}, // what is about the cache turns it on
		watching: watching{PollInterval: 100 * time.Millisecond, MaxSubscriptions: 10_000, StreamKeepalive: 15 * time.Second},
		limits:   limits{MaxDepth: 15, MaxRequestBytes: 1 << 20, MaxUploadBytes: 4 << 30, UploadTimeout: 10 * time.Minute, DirectUploadBytes: 200 << 20},
		tracing:  tracing{Trace: "on"},
		logging:  logging{LogLevel: "debug", LogFormat: "json"},
	}
	for _, f := range adjust {
		f(s, sim)
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		t.Fatal(err)
	}
	logs := &lockedBuffer{}
	g, err := newGateway(context.Background(), s, slog.New(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: level})), page{})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.tokens.Warm(context.Background()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.run(ctx) }()
	stopped := sync.OnceValue(func() error { return <-ended })
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		stop()
		if err := stopped(); err != nil {
			t.Errorf("gateway: %v", err)
		}
	})
	sim.ResetCounts()
	return &world{t: t, sim: sim, url: g.url(), adm: "http://" + g.admin.Addr().String(), logs: logs, http: client, stop: stop, stopped: stopped}
}

// answer is a GraphQL answer.
type answer struct {
	Status int
	Body   []byte
	Data   json.RawMessage
	Errors []graphError
}

type graphError struct {
	Message    string
	Path       []any
	Locations  []struct{ Line, Column int }
	Extensions struct {
		Code     string
		Argument string
		Outcome  string
		UploadID string
		Console  map[string]any
	}
}

func (e graphError) fieldPath() string {
	parts := make([]string, len(e.Path))
	for i, p := range e.Path {
		parts[i] = fmt.Sprint(p)
	}
	return strings.Join(parts, ".")
}

// request is what ask sends beside the query.
type request struct {
	header    map[string]string
	variables map[string]any
}

// ask sends a query and decodes whatever comes back. It is safe for concurrent use.
func (w *world) ask(query string, r request) answer {
	w.t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": r.variables})
	if err != nil {
		w.t.Error(err)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		w.t.Error(err)
		return answer{}
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	resp, err := w.http.Do(req)
	if err != nil {
		w.t.Error(err)
		return answer{}
	}
	defer resp.Body.Close()
	a := answer{Status: resp.StatusCode}
	if a.Body, err = io.ReadAll(resp.Body); err != nil {
		w.t.Error(err)
	}
	if err := json.Unmarshal(a.Body, &a); err != nil {
		w.t.Errorf("answer is no JSON: %s", a.Body)
	}
	return a
}

// query asks and decodes the data into out; any error fails the test.
func (w *world) query(query string, out any) {
	w.t.Helper()
	a := w.ask(query, request{})
	if len(a.Errors) > 0 {
		w.t.Fatalf("errors in %s: %+v", query, a.Errors)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(a.Data, out); err != nil {
		w.t.Fatalf("%s: %v", a.Data, err)
	}
}

// calls are the console calls since the last reset, by operation.
func (w *world) calls() map[string]int { return w.sim.Counts() }

// noCallTwice fails the test where the same call was made twice since the last reset.
func (w *world) noCallTwice() {
	w.t.Helper()
	seen := make(map[string]int)
	for _, r := range w.sim.Requests() {
		seen[strings.Join([]string{r.Method, r.Path, r.RawQuery, r.CompanyID, r.DepartmentID}, " ")]++
	}
	for call, n := range seen {
		if n > 1 {
			w.t.Errorf("%d times in one operation: %s", n, call)
		}
	}
}

// unplanned is how many loads look-ahead has overlooked so far.
func (w *world) unplanned() string { return w.metric("consoleql_unplanned_loads_total") }

// metric is a figure of the admin listener that has no labels.
func (w *world) metric(name string) string {
	w.t.Helper()
	for line := range strings.Lines(w.metrics()) {
		if n, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(n)
		}
	}
	w.t.Fatalf("no figure %s", name)
	return ""
}

// metrics are all figures of the admin listener.
func (w *world) metrics() string {
	w.t.Helper()
	resp, err := w.http.Get(w.adm + "/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// as are the headers of a caller who shows a console token of the user's.
func (w *world) as(username string) map[string]string {
	w.t.Helper()
	token := w.sim.Token(username)
	if token == "" {
		w.t.Fatalf("the simulator knows no user %q", username)
	}
	return map[string]string{"Authorization": "Bearer " + token}
}

// in are the headers of a scope; an empty id is left out.
func in(company, department string) map[string]string {
	header := make(map[string]string)
	if company != "" {
		header["CompanyId"] = company
	}
	if department != "" {
		header["DepartmentId"] = department
	}
	return header
}

// with joins headers.
func with(headers ...map[string]string) map[string]string {
	all := make(map[string]string)
	for _, h := range headers {
		maps.Copy(all, h)
	}
	return all
}

// send makes any HTTP request of the public listener.
func (w *world) send(method, path, body string, header map[string]string) (*http.Response, []byte) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := w.http.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	answered, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp, answered
}

// refused sends what is refused and gives the one error that says so.
func (w *world) refused(query string, r request) graphError {
	w.t.Helper()
	return w.onlyError(w.ask(query, r))
}

func (w *world) onlyError(a answer) graphError {
	w.t.Helper()
	if len(a.Errors) != 1 {
		w.t.Fatalf("%d errors, want one: %s", len(a.Errors), a.Body)
	}
	return a.Errors[0]
}

// noCalls fails the test where the console was asked anything since the last reset.
func (w *world) noCalls() {
	w.t.Helper()
	if calls := w.calls(); len(calls) > 0 {
		w.t.Errorf("the console was called: %v", calls)
	}
}

// decode reads JSON into a new T.
func decode[T any](t testing.TB, text []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in %.2000s", err, text)
	}
	return v
}

// through puts a proxy before the console's API that may change its answers.
func through(t testing.TB, change func(r *http.Request, body string) string) func(*settings, *consolesim.Server) {
	return proxied(t, func(*http.Request) {}, change)
}

// proxied puts a proxy before the console's API that may change what is asked and answered.
func proxied(t testing.TB, ask func(*http.Request), change func(r *http.Request, body string) string) func(*settings, *consolesim.Server) {
	return func(s *settings, sim *consolesim.Server) {
		target, err := url.Parse(sim.APIURL())
		if err != nil {
			t.Fatal(err)
		}
		carrier := &http.Transport{MaxIdleConnsPerHost: 100}
		proxy := httptest.NewServer(&httputil.ReverseProxy{
			Transport: carrier,
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(target)
				ask(r.Out)
			},
			ModifyResponse: func(resp *http.Response) error {
				body, err := io.ReadAll(resp.Body)
				if err != nil {
					return err
				}
				changed := change(resp.Request, string(body))
				resp.Body = io.NopCloser(strings.NewReader(changed))
				resp.ContentLength = int64(len(changed))
				resp.Header.Set("Content-Length", strconv.Itoa(len(changed)))
				return nil
			},
		})
		t.Cleanup(func() {
			proxy.Close()
			carrier.CloseIdleConnections()
		})
		s.ConsoleURL = proxy.URL
	}
}
