package requests

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestEmptyCredentialsAreIgnored verifies that an empty header, null or "" counts as absent, as
// some clients send them. Other unusable credentials are refused.
func TestEmptyCredentialsAreIgnored(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	const body = `{"query":"{ viewer { userName } }"}`
	for name, tt := range map[string]struct {
		header http.Header
		status int
	}{
		"empty Authorization":           {http.Header{"Authorization": {""}}, 200},
		"blank Authorization":           {http.Header{"Authorization": {"  "}}, 200},
		"empty X-Api-Key":               {http.Header{"X-Api-Key": {""}}, 200},
		"both empty":                    {http.Header{"X-Api-Key": {""}, "Authorization": {""}}, 200},
		"empty twice":                   {http.Header{"Authorization": {"", ""}}, 200},
		"empty scope":                   {http.Header{"CompanyId": {""}, "DepartmentId": {"", ""}}, 200},
		"a token beside an empty key":   {http.Header{"X-Api-Key": {""}, "Authorization": {w.TokenHeader("demo")["Authorization"]}}, 200},
		"a scheme without a token":      {http.Header{"Authorization": {"Bearer "}}, 401},
		"another scheme":                {http.Header{"Authorization": {"Basic ZGVtbzpkZW1v"}}, 401},
		"the word undefined":            {http.Header{"Authorization": {"undefined"}}, 401},
		"the word null, as an API key":  {http.Header{"X-Api-Key": {"null"}}, 401},
		"a token and an unknown key":    {http.Header{"X-Api-Key": {"x"}, "Authorization": {w.TokenHeader("demo")["Authorization"]}}, 401},
		"an empty token and an unknown": {http.Header{"X-Api-Key": {"x"}, "Authorization": {""}}, 401},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL+"/graphql", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = tt.header
		req.Header.Set("Content-Type", "application/json")
		if a, err := w.Do(req); err != nil || a.Status != tt.status || (tt.status == 200) != (len(a.Errors) == 0) {
			t.Errorf("%s: %v, status %d, %s", name, err, a.Status, a.Body)
		}
	}
	for name, tt := range map[string]struct {
		payload string
		header  map[string]string
		ack     bool
	}{
		"no payload":            {`null`, nil, true},
		"null":                  {`{"Authorization":null}`, nil, true},
		"empty":                 {`{"authorization":""}`, nil, true},
		"blank API key":         {`{"X-Api-Key":" "}`, nil, true},
		"all null":              {`{"Authorization":null,"X-Api-Key":null,"CompanyId":null,"DepartmentId":""}`, nil, true},
		"null in two spellings": {`{"Authorization":null,"authorization":""}`, nil, true},
		"the header's counts":   {`{"Authorization":""}`, map[string]string{"Authorization": "Bearer unknown to anybody"}, false},
		"a number":              {`{"Authorization":7}`, nil, false},
		"an object":             {`{"X-Api-Key":{}}`, nil, false},
		"a scheme and no token": {`{"Authorization":"Bearer "}`, nil, false},
	} {
		if name == "the header's counts" {
			resp, _ := w.Send(http.MethodGet, "/graphql", "", e2e.MergeHeaders(tt.header, map[string]string{"Connection": "Upgrade", "Upgrade": "websocket"}))
			if resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s: status %d", name, resp.StatusCode)
			}
			continue
		}
		s := w.Connect(tt.header)
		s.Send(e2e.Message{Type: "connection_init", Payload: json.RawMessage(tt.payload)})
		if !tt.ack {
			if code, reason := s.ClosedWith(); code != 4400 && code != 4401 {
				t.Errorf("%s: closed with %d %s", name, code, reason)
			}
			continue
		}
		if m := s.Receive(); m.Type != "connection_ack" {
			t.Errorf("%s: %+v", name, m)
			continue
		}
		s.Subscribe("1", `{ viewer { userName } }`)
		if a := s.Next("1"); len(a.Errors) > 0 {
			t.Errorf("%s: %s", name, a.Body)
		}
	}
}

// TestTextsHaveCharset verifies that texts have a charset. Some clients assume Latin-1
// without one.
func TestTextsHaveCharset(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	sse := map[string]string{"Accept": "text/event-stream"}
	modern := map[string]string{"Accept": "application/graphql-response+json"}
	get := "/graphql?query=" + url.QueryEscape(`{ queues { totalCount } }`)
	page := func(path string) []string { // the page and its text assets
		_, body := w.Send(http.MethodGet, path, "", nil)
		paths := []string{path}
		for part := range strings.SplitSeq(string(body), `"`) {
			if strings.HasPrefix(part, "graphiql/") && !strings.HasSuffix(part, "/") {
				paths = append(paths, "/"+part)
			}
		}
		return paths
	}
	type sent struct {
		method, path, body string
		header             map[string]string
	}
	all := []sent{
		{"POST", "/graphql", `{"query":"{ queues { totalCount } }"}`, e2e.JSONBody},
		{"POST", "/graphql", `{"query":"{ queues { totalCount } }"}`, e2e.JSONBody}, // cached
		{"POST", "/graphql", `{"query":"{ queues { totalCount } }"}`, e2e.MergeHeaders(e2e.JSONBody, modern)},
		{"POST", "/graphql", `{"query":"{ queues { totalCount } }"}`, e2e.MergeHeaders(e2e.JSONBody, sse)},
		{"GET", get, "", nil},
		{"GET", get, "", modern},
		{"GET", get, "", sse},
		{"POST", "/graphql", `{"query":"{ nope }"}`, e2e.JSONBody},
		{"POST", "/graphql", `{"query":"{ nope }"}`, e2e.MergeHeaders(e2e.JSONBody, modern)},
		{"POST", "/graphql", `{"query":"{ nope }"}`, e2e.MergeHeaders(e2e.JSONBody, sse)},
		{"POST", "/graphql", `{`, e2e.JSONBody},
		{"POST", "/graphql", `{`, e2e.MergeHeaders(e2e.JSONBody, sse)},
		{"POST", "/graphql", `x`, map[string]string{"Content-Type": "text/plain"}},
		{"POST", "/graphql", `x`, map[string]string{"Content-Type": "multipart/form-data; boundary=B"}},
		{"POST", "/graphql", `{}`, e2e.MergeHeaders(e2e.JSONBody, map[string]string{"Authorization": "Bearer"})},
		{"POST", "/graphql", `{}`, e2e.MergeHeaders(e2e.JSONBody, map[string]string{"Origin": "https://evil.example"})},
		{"POST", "/graphql", `{}`, e2e.MergeHeaders(e2e.JSONBody, map[string]string{"CompanyId": "x"})},
		{"PUT", "/graphql", ``, nil},
		{"GET", "/graphql?query=" + url.QueryEscape(`mutation { signOut { ok } }`), "", nil},
		{"GET", "/schema.graphql", "", nil},
		{"GET", "/healthz", "", nil},
		{"GET", "/readyz", "", nil},
		{"GET", "/nowhere", "", nil},
		{"GET", "/graphiql/none.js", "", nil},
	}
	for _, path := range page("/") {
		all = append(all, sent{method: "GET", path: path})
	}
	if len(all) < 28 {
		t.Fatalf("the page's own texts are not found: %d", len(all))
	}
	for _, r := range all {
		resp, body := w.Send(r.method, r.path, r.body, r.header)
		if got := resp.Header.Get("Content-Type"); !strings.HasSuffix(got, "; charset=utf-8") || strings.Count(got, ";") != 1 {
			t.Errorf("%s %s %v is answered as %q: %.80s", r.method, r.path, r.header, got, body)
		}
	}
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/readyz", "/nowhere"} {
		resp, err := w.Client.Get(w.AdminURL + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Content-Type"); !slices.ContainsFunc([]string{"text/plain", "text/html", "application/"}, func(p string) bool { return strings.HasPrefix(got, p) }) || !strings.Contains(got, "charset=utf-8") {
			t.Errorf("the admin listener's %s is answered as %q", path, got)
		}
	}
}
