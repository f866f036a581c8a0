package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
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

	"github.com/consoleql/consoleql/examples/dashboard"
	"github.com/consoleql/consoleql/internal/binarytest"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/telemetry"
)

// Clients is the number of concurrent clients in tests of shared work.
var Clients = flag.Int("clients", 100, "number of concurrent clients in tests of shared requests")

// Release is the released program, built from the present code.
var Release binarytest.Release

// RunTests runs the tests of a package, checks for leaked goroutines, and ends the process.
// TestMain calls it.
func RunTests(m *testing.M) {
	telemetry.SilenceLibraries()
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		Release.Remove()
		os.Exit(code)
	}))
}

// World is a simulated console and a gateway in front of it, both over real HTTP.
type World struct {
	T        testing.TB
	Sim      *consolesim.Server
	URL      string // of the gateway
	AdminURL string // of its admin listener
	Logs     *LockedBuffer
	Client   *http.Client

	Stop    func()       // stops the gateway
	Stopped func() error // waits for the gateway's end
}

// NewSim starts a simulated console for the duration of the test.
func NewSim(t testing.TB, o consolesim.Options) *consolesim.Server {
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

// NewWorld starts a console and a gateway. Callers without credentials act as the simulator's
// owner in its main department. The gateway already has that account's token. adjust changes
// the settings.
func NewWorld(t testing.TB, o consolesim.Options, adjust ...func(*gateway.Settings, *consolesim.Server)) *World {
	t.Helper()
	sim := NewSim(t, o)
	username, password := sim.DefaultUser()
	s := &gateway.Settings{
		Listeners: gateway.Listeners{Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", ShutdownTimeout: 10 * time.Second},
		Console: gateway.Console{
			ConsoleURL: sim.APIURL(), SSOURL: sim.SSOURL(), ConsoleIDs: "auto", ConsoleTimeout: 20 * time.Second, ConsoleWriteTimeout: 30 * time.Second,
			HedgeDelay:         time.Hour, // on a busy machine a console seems silent, and a second call would be counted
			ConsoleConcurrency: 256, ConsoleMaxResponseBytes: 64 << 20, OperationConcurrency: 64,
			ConsoleQueueCreatePath: "/openapi/queues/{queueId}",
			CompanyID:              sim.Data().MainCompanyID(), DepartmentID: sim.Data().MainDepartmentID(),
		},
		Account:       gateway.Account{Username: username, Password: password, Anonymous: true},
		Identity:      gateway.Identity{VerifyTokens: "off", SessionLifetime: time.Hour},
		Shared:        gateway.Shared{IdempotencyRetention: time.Hour},
		Caching:       gateway.Caching{Cache: "off", CacheBytes: 64 << 20, AnswerBytes: 64 << 20}, // tests of the cache enable it
		Subscriptions: gateway.Subscriptions{PollInterval: 100 * time.Millisecond, MaxSubscriptions: 10_000, StreamKeepalive: 15 * time.Second},
		Limits:        gateway.Limits{MaxDepth: 15, MaxRequestBytes: 1 << 20, MaxUploadBytes: 4 << 30, UploadTimeout: 10 * time.Minute, DirectUploadBytes: 200 << 20},
		Tracing:       gateway.Tracing{Trace: "on"},
		Logging:       gateway.Logging{LogLevel: "debug", LogFormat: "json", AccessLog: "on", AuditLog: "log"},
	}
	for _, f := range adjust {
		f(s, sim)
	}
	logs := &LockedBuffer{}
	log, err := s.Logger(logs)
	if err != nil {
		t.Fatal(err)
	}
	logs.flush = s.Stream.Flush
	t.Cleanup(s.Stream.Close)
	g, err := gateway.New(context.Background(), s, log, gateway.Page{Dashboard: dashboard.Handler()})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Tokens.Warm(context.Background()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
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
	return &World{T: t, Sim: sim, URL: g.URL(), AdminURL: "http://" + g.Admin.Addr().String(), Logs: logs, Client: client, Stop: stop, Stopped: stopped}
}

// Answer is a GraphQL answer.
type Answer struct {
	Status int
	Body   []byte
	Data   json.RawMessage
	Errors []GraphError
}

type GraphError struct {
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

func (e GraphError) FieldPath() string {
	parts := make([]string, len(e.Path))
	for i, p := range e.Path {
		parts[i] = fmt.Sprint(p)
	}
	return strings.Join(parts, ".")
}

// Request contains the parameters of Ask beside the query.
type Request struct {
	Header    map[string]string
	Variables map[string]any
}

// Ask sends a query and decodes the answer. It is safe for concurrent use.
func (w *World) Ask(query string, r Request) Answer {
	w.T.Helper()
	a, err := w.AskContext(w.T.Context(), query, r)
	if err != nil {
		w.T.Errorf("%v: %s", err, a.Body)
	}
	return a
}

// AskContext is Ask for callers that leave, or whose connection may be lost: it does not fail the test.
func (w *World) AskContext(ctx context.Context, query string, r Request) (Answer, error) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": r.Variables})
	if err != nil {
		return Answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL+"/graphql", bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range r.Header {
		req.Header.Set(name, value)
	}
	return w.Do(req)
}

// Query sends a query and decodes the data into out. Any error fails the test.
func (w *World) Query(query string, out any) {
	w.T.Helper()
	a := w.Ask(query, Request{})
	if len(a.Errors) > 0 {
		w.T.Fatalf("errors in %s: %+v", query, a.Errors)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(a.Data, out); err != nil {
		w.T.Fatalf("%s: %v", a.Data, err)
	}
}

// Calls returns the console calls since the last reset, by operation.
func (w *World) Calls() map[string]int { return w.Sim.Counts() }

// CheckNoDuplicateCalls fails the test if a call was made twice since the last reset.
func (w *World) CheckNoDuplicateCalls() {
	w.T.Helper()
	seen := make(map[string]int)
	for _, r := range w.Sim.Requests() {
		seen[strings.Join([]string{r.Method, r.Path, r.RawQuery, r.CompanyID, r.DepartmentID}, " ")]++
	}
	for call, n := range seen {
		if n > 1 {
			w.T.Errorf("%d times in one operation: %s", n, call)
		}
	}
}

// Unplanned returns the number of loads that look-ahead did not plan.
func (w *World) Unplanned() string { return w.Metric("consoleql_unplanned_loads_total") }

// Metric returns the value of a metric without labels.
func (w *World) Metric(name string) string {
	w.T.Helper()
	for line := range strings.Lines(w.Metrics()) {
		if n, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(n)
		}
	}
	w.T.Fatalf("no figure %s", name)
	return ""
}

// Metrics returns all metrics of the admin listener.
func (w *World) Metrics() string {
	w.T.Helper()
	resp, err := w.Client.Get(w.AdminURL + "/metrics")
	if err != nil {
		w.T.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.T.Fatal(err)
	}
	return string(text)
}

// TokenHeader returns headers with a console token of the user.
func (w *World) TokenHeader(username string) map[string]string {
	w.T.Helper()
	token := w.Sim.Token(username)
	if token == "" {
		w.T.Fatalf("the simulator knows no user %q", username)
	}
	return map[string]string{"Authorization": "Bearer " + token}
}

// ScopeHeader returns the headers of a scope, without empty ids.
func ScopeHeader(company, department string) map[string]string {
	header := make(map[string]string)
	if company != "" {
		header["CompanyId"] = company
	}
	if department != "" {
		header["DepartmentId"] = department
	}
	return header
}

// MergeHeaders merges headers.
func MergeHeaders(headers ...map[string]string) map[string]string {
	all := make(map[string]string)
	for _, h := range headers {
		maps.Copy(all, h)
	}
	return all
}

// Send sends an HTTP request to the public listener.
func (w *World) Send(method, path, body string, header map[string]string) (*http.Response, []byte) {
	w.T.Helper()
	req, err := http.NewRequestWithContext(w.T.Context(), method, w.URL+path, strings.NewReader(body))
	if err != nil {
		w.T.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := w.Client.Do(req)
	if err != nil {
		w.T.Fatal(err)
	}
	defer resp.Body.Close()
	answered, err := io.ReadAll(resp.Body)
	if err != nil {
		w.T.Fatal(err)
	}
	return resp, answered
}

// ExpectRefusal sends a request that must be refused, and returns its only error.
func (w *World) ExpectRefusal(query string, r Request) GraphError {
	w.T.Helper()
	return w.OnlyError(w.Ask(query, r))
}

func (w *World) OnlyError(a Answer) GraphError {
	w.T.Helper()
	if len(a.Errors) != 1 {
		w.T.Fatalf("%d errors, want one: %s", len(a.Errors), a.Body)
	}
	return a.Errors[0]
}

// CheckNoCalls fails the test if there was a console call since the last reset.
func (w *World) CheckNoCalls() {
	w.T.Helper()
	if calls := w.Calls(); len(calls) > 0 {
		w.T.Errorf("the console was called: %v", calls)
	}
}

// Decode reads JSON into a new T.
func Decode[T any](t testing.TB, text []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in %.2000s", err, text)
	}
	return v
}

// RewriteAnswers puts a proxy in front of the console's API that changes answers.
func RewriteAnswers(t testing.TB, change func(r *http.Request, body string) string) func(*gateway.Settings, *consolesim.Server) {
	return Proxy(t, func(*http.Request) {}, change)
}

// Proxy puts a proxy in front of the console's API that changes requests and answers.
func Proxy(t testing.TB, ask func(*http.Request), change func(r *http.Request, body string) string) func(*gateway.Settings, *consolesim.Server) {
	return func(s *gateway.Settings, sim *consolesim.Server) {
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
