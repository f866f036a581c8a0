package graphiql_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/edge/graphiql"
	"github.com/consoleql/consoleql/internal/edge/graphiql/browsertest"
)

//go:embed testdata/introspection.json
var introspection []byte

const (
	listQuery = `query Workflows($first: Int) {
  workflows(first: $first) {
    totalCount
    nodes {
      id
      name
      state
    }
  }
}`
	listVariables = `{ "first": 2 }`
	viewerQuery   = `query WhoAmI {
  viewer {
    name
  }
}`
)

// gateway is a GraphQL endpoint with a schema and two operations that records its requests.
type gateway struct {
	mu            sync.Mutex
	introspection string
	requests      []recordedRequest
	payloads      []string
}

type recordedRequest struct {
	OperationName string         `json:"operationName"`
	Query         string         `json:"query"`
	Variables     map[string]any `json:"variables"`
	APIKey        string         `json:"-"`
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var operation recordedRequest
	if err := json.NewDecoder(r.Body).Decode(&operation); err != nil || r.Method != http.MethodPost {
		http.Error(w, "want a GraphQL operation", http.StatusBadRequest)
		return
	}
	operation.APIKey = r.Header.Get("X-Api-Key")
	w.Header().Set("Content-Type", "application/json")
	answer := []byte(`{"errors":[{"message":"unknown operation"}]}`)
	switch operation.OperationName {
	case "IntrospectionQuery":
		g.mu.Lock()
		g.introspection = operation.Query
		g.mu.Unlock()
		_, _ = w.Write(introspection)
		return
	case "Workflows":
		answer = []byte(`{"data":{"workflows":{"totalCount":7,"nodes":[{"id":"w1","name":"Invoices","state":"RUNNING"},{"id":"w2","name":"` + "\u5bf9\u8d26" + `","state":"QUEUED"}]}}}`)
	case "WhoAmI":
		answer = []byte(`{"data":{"viewer":{"name":"Ada"}}}`)
	}
	g.mu.Lock()
	g.requests = append(g.requests, operation)
	g.mu.Unlock()
	_, _ = w.Write(answer)
}

func (g *gateway) operations() []recordedRequest {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.requests)
}

func serve(t *testing.T) (string, *gateway) {
	t.Helper()
	handler, endpoint := page()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL, endpoint
}

// page returns the page and its endpoint.
func page() (http.Handler, *gateway) {
	endpoint := new(gateway)
	mux := http.NewServeMux()
	mux.Handle("/", graphiql.Handler(graphiql.Options{
		Examples: []graphiql.Example{
			{Title: "Workflows of the department", Query: listQuery, Variables: listVariables},
			{Title: "Who am I", Query: viewerQuery},
		},
		Headers: `{ "X-Api-Key": "none" }`,
		Notice:  "A simulated console: nothing here is real.",
	}))
	mux.Handle("/graphql", endpoint)
	mux.Handle("GET /graphql", http.HandlerFunc(endpoint.socket))
	return mux, endpoint
}

// pictures is the folder for the page's pictures; default: a temporary one.
func pictures(t *testing.T, name string) string {
	t.Helper()
	if folder := os.Getenv("GRAPHIQL_SCREENSHOTS"); folder != "" {
		return filepath.Join(folder, name)
	}
	return filepath.Join(t.TempDir(), name)
}

func TestBrowserRunsFirstExample(t *testing.T) {
	base, endpoint := serve(t)
	picture := pictures(t, "light.png")
	got := browsertest.Run(t, base, browsertest.Options{Screenshot: picture})

	if diff := cmp.Diff([]string{"Workflows", "WhoAmI"}, got.Tabs); diff != "" {
		t.Errorf("tabs (-want +got):\n%s", diff)
	}
	if want := "# Workflows of the department\n" + listQuery; got.Query != want {
		t.Errorf("query in the editor:\n%s\nwant:\n%s", got.Query, want)
	}
	if !strings.Contains(got.Visible, "workflows(first: $first)") {
		t.Errorf("the editor shows:\n%s", got.Visible)
	}
	if got.Variables != listVariables {
		t.Errorf("variables = %q, want %q", got.Variables, listVariables)
	}
	for _, want := range []string{`"totalCount": 7`, `"name": "Invoices"`, "\u5bf9\u8d26"} {
		if !strings.Contains(got.Response, want) {
			t.Errorf("the result pane misses %s:\n%s", want, got.Response)
		}
	}
	want := []recordedRequest{{OperationName: "Workflows", Query: got.Query, Variables: map[string]any{"first": 2.0}, APIKey: "none"}}
	if diff := cmp.Diff(want, endpoint.operations()); diff != "" {
		t.Errorf("operations at the endpoint (-want +got):\n%s", diff)
	}
	for _, part := range []string{"/graphql", "/graphiql/main-", "/graphiql/graphql.worker-", "/graphiql/FiraCode-"} {
		if !slices.ContainsFunc(got.Requests, func(address string) bool { return strings.HasPrefix(address, base+part) }) {
			t.Errorf("no request for %s… among %v", part, got.Requests)
		}
	}
	if content, err := os.ReadFile(picture); err != nil || !strings.HasPrefix(string(content), "\x89PNG") {
		t.Errorf("screenshot: %v, %d bytes", err, len(content))
	}
}

// TestBrowserRestoresExample closes a tab, reloads the page, and opens the example from
// the side bar.
func TestBrowserRestoresExample(t *testing.T) {
	base, endpoint := serve(t)
	secondTab := chromedp.CSS("#graphiql-session-tab-1")
	got := browsertest.Run(t, base, browsertest.Options{
		Tab:        1,
		Screenshot: pictures(t, "examples.png"),
		Before: func(ctx context.Context) error {
			return chromedp.Do(ctx,
				chromedp.Click(chromedp.CSS(".graphiql-tab-active .graphiql-tab-close")),
				chromedp.WaitNotPresent(secondTab),
				// GraphiQL stores its tabs half a second after the last change.
				chromedp.Sleep(time.Second),
				chromedp.Reload(),
				chromedp.WaitVisible(chromedp.CSS("#graphiql-session-tab-0")),
				chromedp.WaitNotPresent(secondTab),
				chromedp.WaitVisible(chromedp.CSS(".graphiql-query-editor .view-line")),
				chromedp.Click(chromedp.CSS(`button[aria-label="Show Examples"]`)),
				chromedp.Click(chromedp.CSS(".examples-list li:nth-child(2) button")),
				chromedp.WaitVisible(secondTab),
				// GraphiQL reads the operation a moment after the last change of the text.
				chromedp.Sleep(time.Second),
			)
		},
	})

	if diff := cmp.Diff([]string{"Workflows", "WhoAmI"}, got.Tabs); diff != "" {
		t.Errorf("tabs (-want +got):\n%s", diff)
	}
	want := []recordedRequest{{OperationName: "WhoAmI", Query: "# Who am I\n" + viewerQuery, APIKey: "none"}}
	if diff := cmp.Diff(want, endpoint.operations()); diff != "" {
		t.Errorf("operations at the endpoint (-want +got):\n%s", diff)
	}
}

// TestBrowserBelowPath serves the gateway below a path. The page must find its assets and its
// endpoint, and request nothing else of the host.
func TestBrowserBelowPath(t *testing.T) {
	handler, endpoint := page()
	mux := http.NewServeMux()
	mux.Handle("/consoleql/", http.StripPrefix("/consoleql", handler))
	host := httptest.NewServer(mux)
	t.Cleanup(host.Close)

	got := browsertest.Run(t, host.URL, browsertest.Options{Path: "/consoleql/"})
	if want := `"totalCount": 7`; !strings.Contains(got.Response, want) {
		t.Errorf("the result pane misses %s:\n%s", want, got.Response)
	}
	if asked := endpoint.operations(); len(asked) != 1 {
		t.Errorf("operations at the endpoint: %+v, want one", asked)
	}

	address := url.Values{"query": {`subscription Watch { workflowChanged(ids: ["w1"]) { state } }`}}
	got = browsertest.Run(t, host.URL, browsertest.Options{Path: "/consoleql/?" + address.Encode()})
	if want := `"state": "SUCCEEDED"`; !strings.Contains(got.Response, want) {
		t.Errorf("the result pane misses %s:\n%s", want, got.Response)
	}
}

func TestBrowserSubscribes(t *testing.T) {
	base, endpoint := serve(t)
	address := url.Values{"query": {`subscription Watch { workflowChanged(ids: ["w1"]) { state } }`}}
	got := browsertest.Run(t, base, browsertest.Options{Path: "/?" + address.Encode()})

	if want := `"state": "SUCCEEDED"`; !strings.Contains(got.Response, want) {
		t.Errorf("the result pane misses %s:\n%s", want, got.Response)
	}
	endpoint.mu.Lock()
	defer endpoint.mu.Unlock()
	if diff := cmp.Diff([]string{`{"X-Api-Key":"none"}`}, endpoint.payloads); diff != "" {
		t.Errorf("payloads of connection_init (-want +got):\n%s", diff)
	}
}

func TestBrowserOpensQueryOfURL(t *testing.T) {
	base, endpoint := serve(t)
	address := url.Values{"query": {"query FromLink { viewer { name shoeSize } }"}}
	got := browsertest.Run(t, base, browsertest.Options{
		Path: "/?" + address.Encode(), ReadOnly: true, Docs: true, Dark: true, Screenshot: pictures(t, "dark.png"),
		Before: func(ctx context.Context) error {
			// The squiggle below the unknown field proves that the GraphQL worker and the
			// schema are loaded.
			return chromedp.Do(ctx, chromedp.WaitVisible(chromedp.CSS(".graphiql-query-editor .squiggly-error")))
		},
	})

	if diff := cmp.Diff([]string{"FromLink", "Workflows", "WhoAmI"}, got.Tabs); diff != "" {
		t.Errorf("tabs (-want +got):\n%s", diff)
	}
	if got.Query != address.Get("query") || got.Variables != "" {
		t.Errorf("editors hold %q and %q, want the address's query and no variables", got.Query, got.Variables)
	}
	if asked := endpoint.operations(); len(asked) != 0 {
		t.Errorf("a query from a link ran by itself: %+v", asked)
	}
	endpoint.mu.Lock()
	defer endpoint.mu.Unlock()
	if !regexp.MustCompile(`__schema \{\s+description`).MatchString(endpoint.introspection) {
		t.Errorf("the documentation has not asked for the description of the schema:\n%s", endpoint.introspection)
	}
}
