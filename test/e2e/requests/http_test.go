package requests

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

func TestGetAndPostAnswersAreEqual(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	const query = `query Some($n: Int) { queues(first: $n) { nodes { id name } } }`
	posted := w.Ask(query, e2e.Request{Variables: map[string]any{"n": 3}})
	if len(posted.Errors) > 0 || len(posted.Data) < 100 {
		t.Fatalf("answered %s", posted.Body)
	}
	for name, a := range map[string]e2e.Answer{
		"GET":                    sendGraphQL(w, http.MethodGet, "/graphql?"+url.Values{"query": {query}, "variables": {`{"n":3}`}, "operationName": {"Some"}}.Encode(), "", nil),
		"POST with a charset":    sendGraphQL(w, http.MethodPost, "/graphql", fmt.Sprintf(`{"query":%q,"variables":{"n":3},"operationName":"Some"}`, query), map[string]string{"Content-Type": "application/json; charset=utf-8"}),
		"POST of two operations": sendGraphQL(w, http.MethodPost, "/graphql", fmt.Sprintf(`{"query":%q,"variables":{"n":3},"operationName":"Some"}`, query+` query Other { __typename }`), e2e.JSONBody),
		"POST with extensions":   sendGraphQL(w, http.MethodPost, "/graphql", fmt.Sprintf(`{"query":%q,"variables":{"n":3},"extensions":{"x":1}}`, query), e2e.JSONBody),
	} {
		if string(a.Body) != string(posted.Body) || a.Status != http.StatusOK {
			t.Errorf("%s: status %d, %s", name, a.Status, a.Body)
		}
	}
}

// TestInvalidOperations verifies that every refusal is a GraphQL error with a code,
// and quotes nothing of the request.
func TestInvalidOperations(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	const secret = "hunter2-secret"
	get := func(values url.Values) string { return "/graphql?" + values.Encode() }
	for _, tt := range []struct {
		name, method, path, body string
		header                   map[string]string
		code                     string
	}{
		{"syntax", "POST", "/graphql", `{"query":"{ workflows { "}`, e2e.JSONBody, "GRAPHQL_PARSE_FAILED"},
		{"an odd character", "POST", "/graphql", `{"query":"{ ? }"}`, e2e.JSONBody, "GRAPHQL_PARSE_FAILED"},
		{"unknown field", "POST", "/graphql", `{"query":"{ cheese }"}`, e2e.JSONBody, "GRAPHQL_VALIDATION_FAILED"},
		{"credentials of a robot", "POST", "/graphql", `{"query":"{ robots { nodes { clientSecret } } }"}`, e2e.JSONBody, "GRAPHQL_VALIDATION_FAILED"},
		{"no selection", "POST", "/graphql", `{"query":"{ workflows }"}`, e2e.JSONBody, "GRAPHQL_VALIDATION_FAILED"},
		{"unused fragment", "POST", "/graphql", `{"query":"{ __typename } fragment F on Robot { id }"}`, e2e.JSONBody, "GRAPHQL_VALIDATION_FAILED"},
		{"fragments in a circle", "POST", "/graphql", `{"query":"{ rootDepartment { ...F } } fragment F on Department { parent { ...F } }"}`, e2e.JSONBody, "GRAPHQL_VALIDATION_FAILED"},
		{"unknown operation", "POST", "/graphql", `{"query":"query A { __typename }","operationName":"B"}`, e2e.JSONBody, "GRAPHQL_VALIDATION_FAILED"},
		{"two operations, none named", "POST", "/graphql", `{"query":"query A { __typename } query B { __typename }"}`, e2e.JSONBody, "GRAPHQL_VALIDATION_FAILED"},
		{"no mutation", "POST", "/graphql", `{"query":"mutation { cheese }"}`, e2e.JSONBody, "GRAPHQL_VALIDATION_FAILED"},
		{"no query", "POST", "/graphql", `{}`, e2e.JSONBody, "GRAPHQL_VALIDATION_FAILED"},
		{"no query by GET", "GET", "/graphql", ``, nil, "GRAPHQL_VALIDATION_FAILED"},
		{"no JSON", "POST", "/graphql", `query { ` + secret, e2e.JSONBody, "BAD_USER_INPUT"},
		{"half of JSON", "POST", "/graphql", `{"query":"{ __typename }","variables":{"password":"` + secret + `"`, e2e.JSONBody, "BAD_USER_INPUT"},
		{"a list", "POST", "/graphql", `["` + secret + `"]`, e2e.JSONBody, "BAD_USER_INPUT"},
		{"wrong types", "POST", "/graphql", `{"query":7,"variables":"` + secret + `"}`, e2e.JSONBody, "BAD_USER_INPUT"},
		{"empty", "POST", "/graphql", ``, e2e.JSONBody, "BAD_USER_INPUT"},
		{"too large", "POST", "/graphql", `{"query":"{ __typename }","variables":{"a":"` + strings.Repeat(secret, 1<<20/len(secret)+1) + `"}}`, e2e.JSONBody, "BAD_USER_INPUT"},
		{"too many tokens", "POST", "/graphql", `{"query":"{` + strings.Repeat(" __typename", 20_000) + `}"}`, e2e.JSONBody, "GRAPHQL_PARSE_FAILED"},
		{"GET with variables that are no JSON", "GET", get(url.Values{"query": {"{ __typename }"}, "variables": {secret}}), "", nil, "BAD_USER_INPUT"},
		{"GET with extensions that are no JSON", "GET", get(url.Values{"query": {"{ __typename }"}, "extensions": {secret}}), "", nil, "BAD_USER_INPUT"},
		{"GET with a broken query string", "GET", "/graphql?query=%7B%zz" + secret, "", nil, "BAD_USER_INPUT"},
		{"a form", "POST", "/graphql", "query=" + secret, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, "BAD_USER_INPUT"},
		{"no content type", "POST", "/graphql", `{"query":"{ __typename }"}`, nil, "BAD_USER_INPUT"},
		{"PUT", "PUT", "/graphql", `{"query":"{ __typename }"}`, e2e.JSONBody, "BAD_USER_INPUT"},
		{"APQ of junk", "POST", "/graphql", `{"extensions":{"persistedQuery":"` + secret + `"}}`, e2e.JSONBody, "BAD_USER_INPUT"},
		{"APQ of another version", "POST", "/graphql", `{"extensions":{"persistedQuery":{"version":2,"sha256Hash":"` + secret + `"}}}`, e2e.JSONBody, "BAD_USER_INPUT"},
		{"APQ of another text", "POST", "/graphql", `{"query":"{ __typename }","extensions":{"persistedQuery":{"version":1,"sha256Hash":"` + strings.Repeat("0", 64) + `"}}}`, e2e.JSONBody, "BAD_USER_INPUT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := w.Send(tt.method, tt.path, tt.body, tt.header)
			var a e2e.Answer
			if err := json.Unmarshal(body, &a); err != nil {
				t.Fatalf("no JSON: %.500s", body)
			}
			if len(a.Errors) == 0 {
				t.Fatalf("answered %.500s", body)
			}
			for _, e := range a.Errors {
				if e.Extensions.Code != tt.code {
					t.Errorf("want %s: status %d, %.500s", tt.code, resp.StatusCode, body)
				}
			}
			if strings.Contains(string(body), secret) {
				t.Errorf("the answer repeats what was sent: %.500s", body)
			}
			if contentType := resp.Header.Get("Content-Type"); !strings.Contains(contentType, "json") {
				t.Errorf("content type %q", contentType)
			}
			w.CheckNoCalls()
		})
	}
	if logs := w.Logs.String(); strings.Contains(logs, secret) || strings.Contains(logs, "internal error") {
		t.Errorf("the log holds what was sent, or takes it for an internal error:\n%.3000s", logs)
	}
}

// A request with an operation name or variables but no query gets an error about the query.
func TestMissingQuery(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	for _, body := range []string{`{}`, `{"query":""}`, `{"query":" \n"}`, `{"id":"4711"}`} {
		if e := w.OnlyError(sendGraphQL(w, http.MethodPost, "/graphql", body, e2e.JSONBody)); e.Extensions.Argument != "query" || !strings.Contains(e.Message, "query") {
			t.Errorf("%s is answered with %+v", body, e)
		}
	}
}

func TestOperationsBeyondLimits(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	nested := func(n int) string {
		return `{ rootDepartment ` + strings.Repeat(`{ parent `, n) + `{ name }` + strings.Repeat(` }`, n) + ` }`
	}
	w.Query(nested(13), nil)
	w.Sim.ResetCounts()
	for name, tt := range map[string]struct{ query, code string }{
		"one too deep":       {nested(14), "QUERY_TOO_DEEP"},
		"much too deep":      {nested(500), "QUERY_TOO_DEEP"},
		"too deep to parse":  {nested(5000), "GRAPHQL_PARSE_FAILED"},
		"deep in a fragment": {`{ rootDepartment { ...F } } fragment F on Department ` + strings.TrimSuffix(nested(14)[len(`{ rootDepartment `):], ` }`), "QUERY_TOO_DEEP"},
	} {
		t.Run(name, func(t *testing.T) {
			e := w.ExpectRefusal(tt.query, e2e.Request{})
			if e.Extensions.Code != tt.code {
				t.Errorf("%+v", e)
			}
			w.CheckNoCalls()
		})
	}
	t.Run("introspection is not too deep", func(t *testing.T) {
		w.Query(`{ __schema { types { fields { type { ofType { ofType { ofType { ofType { ofType { ofType { ofType { ofType { ofType { ofType { ofType { name } } } } } } } } } } } } } } } }`, nil)
	})
	// Large operations are not refused in advance: their use is counted during the execution.
	for name, query := range map[string]string{
		"dear":           `{ queues(first: 500) { nodes { robots(first: 500) { nodes { id } } } } }`,
		"dearer":         `{ workflows(first: 500) { nodes { queue { robots(first: 500) { nodes { id } } workflows(first: 500) { nodes { queue { robots(first: 500) { totalCount } } } } } } } }`,
		"by a variable":  `query($n: Int = 500) { workflows(first: $n) { nodes { queue { robots(first: $n) { nodes { id name status version } } } } } }`,
		"by a fragment":  `{ ...F } fragment F on Query { ... on Query { workflows(first: 500) { nodes { queue { robots(first: 500) { nodes { id name } } } } } } }`,
		"through a tree": `{ companies { departments { workflows(first: 500) { nodes { package { versions { id } } } } } } }`,
	} {
		t.Run(name, func(t *testing.T) { w.Query(query, nil) })
	}
}

func TestAutomaticPersistedQueries(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	const query = `{ queues(first: 2) { nodes { id } } }`
	sum := sha256.Sum256([]byte(query))
	extensions := fmt.Sprintf(`{"persistedQuery":{"version":1,"sha256Hash":"%s"}}`, hex.EncodeToString(sum[:]))
	known := fmt.Sprintf(`{"extensions":%s}`, extensions)
	if e := w.OnlyError(sendGraphQL(w, http.MethodPost, "/graphql", known, e2e.JSONBody)); e.Extensions.Code != "PERSISTED_QUERY_NOT_FOUND" || e.Message != "PersistedQueryNotFound" {
		t.Errorf("%+v", e)
	}
	for name, a := range map[string]e2e.Answer{
		"registered":   sendGraphQL(w, http.MethodPost, "/graphql", fmt.Sprintf(`{"query":%q,"extensions":%s}`, query, extensions), e2e.JSONBody),
		"by its hash":  sendGraphQL(w, http.MethodPost, "/graphql", known, e2e.JSONBody),
		"and by a GET": sendGraphQL(w, http.MethodGet, "/graphql?"+url.Values{"extensions": {extensions}}.Encode(), "", nil),
	} {
		if len(a.Errors) > 0 || string(a.Data) != string(w.Ask(query, e2e.Request{}).Data) {
			t.Errorf("%s: %s", name, a.Body)
		}
	}
}

// TestMalformedRequests verifies the answers of unusual requests, with and without caches.
func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	for name, adjust := range map[string]func(*gateway.Settings, *consolesim.Server){"cache on": e2e.WithCache, "cache off": func(*gateway.Settings, *consolesim.Server) {}} {
		t.Run(name, func(t *testing.T) {
			w := e2e.NewWorld(t, consolesim.Options{}, adjust)
			const viewer = `{"query":"{ viewer { userName } }"}`
			h2c := map[string]string{"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAoAAAAAIAAAAA"}
			modern := map[string]string{"Accept": "application/graphql-response+json"}
			for what, tt := range map[string]struct {
				method, path, body string
				header             map[string]string
				status             int
				holds              string
			}{
				"POST that would rather speak HTTP/2": {"POST", "/graphql", viewer, h2c, 200, `"demo"`},
				"GET that would rather speak HTTP/2":  {"GET", "/graphql?query=" + url.QueryEscape(`{ viewer { userName } }`), "", h2c, 200, `"demo"`},
				"variables that are a list":           {"POST", "/graphql", `{"query":"{ __typename }","variables":[]}`, nil, 400, "BAD_USER_INPUT"},
				"variables that are a text":           {"POST", "/graphql", `{"query":"{ __typename }","variables":"x"}`, nil, 400, "BAD_USER_INPUT"},
				"a mutation with such variables":      {"POST", "/graphql", `{"query":"mutation { signOut { ok } }","variables":5}`, nil, 400, "BAD_USER_INPUT"},
				"no variables at all":                 {"POST", "/graphql", `{"query":"{ __typename }","variables":null}`, nil, 200, "Query"},
				"too deep, by the status":             {"POST", "/graphql", `{"query":"{` + strings.Repeat("viewer{company{", 9) + "id" + strings.Repeat("}}", 9) + `}"}`, modern, 400, "QUERY_TOO_DEEP"},
				"too deep, as it always was":          {"POST", "/graphql", `{"query":"{` + strings.Repeat("viewer{company{", 9) + "id" + strings.Repeat("}}", 9) + `}"}`, nil, 200, "QUERY_TOO_DEEP"},
				"unknown hash, by the status":         {"POST", "/graphql", `{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"` + strings.Repeat("0", 64) + `"}}}`, modern, 400, "PERSISTED_QUERY_NOT_FOUND"},
				"a bad argument, by the status":       {"POST", "/graphql", `{"query":"{ workflows(first: -1) { nodes { id } } }"}`, modern, 400, "BAD_USER_INPUT"},
				"data and an error, by the status":    {"POST", "/graphql", `{"query":"mutation { deleteQueue(input: {id: \"` + e2e.UnknownID + `\"}) { deletedId } }"}`, modern, 200, `"data"`},
			} {
				resp, body := w.Send(tt.method, tt.path, tt.body, e2e.MergeHeaders(e2e.JSONBody, tt.header))
				if resp.StatusCode != tt.status || !strings.Contains(string(body), tt.holds) {
					t.Errorf("%s: status %d, %.300s", what, resp.StatusCode, body)
				}
			}
			for _, accept := range []string{"*/*", "text/event-stream"} {
				// A body of unknown length.
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL+"/graphql", io.MultiReader(strings.NewReader(`{"query":"`), strings.NewReader(strings.Repeat(" ", 2<<20))))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("Accept", accept)
				resp, err := w.Client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusRequestEntityTooLarge {
					t.Errorf("%s: a body that is too long and does not say so: status %d", accept, resp.StatusCode)
				}
			}
			if strings.Contains(w.Logs.String(), "panic") {
				t.Errorf("the log tells of a panic: %s", w.Logs)
			}
		})
	}
}

// TestReadyAfterRedisAnswers verifies that a gateway is not ready until it has reached
// Redis once. Afterwards it also serves without Redis.
func TestReadyAfterRedisAnswers(t *testing.T) {
	t.Parallel()
	store := redistest.Start(t)
	store.Stop()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache, func(s *gateway.Settings, _ *consolesim.Server) { s.RedisURL = store.URL() })
	ready := func() int {
		resp, _ := w.Send(http.MethodGet, "/readyz", "", nil)
		return resp.StatusCode
	}
	if got := ready(); got != http.StatusServiceUnavailable {
		t.Errorf("status %d without Redis", got)
	}
	store.Restart()
	// Whether or not /readyz was called while Redis was reachable.
	w.AwaitLease()
	store.Stop()
	for range 2 {
		if got := ready(); got != http.StatusOK {
			t.Errorf("status %d while Redis is away", got)
		}
		w.Query(e2e.ListQuery, nil)
	}
}

func TestOtherPaths(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	for _, tt := range []struct {
		method, path string
		status       int
		holds        string
	}{
		{"GET", "/healthz", 200, "ok"},
		{"GET", "/readyz", 200, "ready"},
		{"GET", "/schema.graphql", 200, "type Workflow"},
		{"OPTIONS", "/graphql", 200, ""},
		{"GET", "/", 200, "<html"},
		{"GET", "/metrics", 404, ""},
		{"GET", "/debug/pprof/", 404, ""},
		{"POST", "/healthz", 405, ""},
		{"HEAD", "/healthz", 200, ""},
		{"HEAD", "/readyz", 200, ""},
		{"HEAD", "/schema.graphql", 200, ""},
		{"GET", "/graphql/", 404, ""},
	} {
		resp, body := w.Send(tt.method, tt.path, "", nil)
		if resp.StatusCode != tt.status || !strings.Contains(strings.ToLower(string(body)), strings.ToLower(tt.holds)) {
			t.Errorf("%s %s: status %d, %.200s", tt.method, tt.path, resp.StatusCode, body)
		}
	}
	for method, status := range map[string]int{"OPTIONS": 200, "HEAD": 405, "PUT": 405} {
		resp, _ := w.Send(method, "/graphql", "", nil)
		if allow := resp.Header.Get("Allow"); resp.StatusCode != status || allow != "OPTIONS, GET, POST" {
			t.Errorf("%s: status %d, allows %q", method, resp.StatusCode, allow)
		}
	}
	w.CheckNoCalls()
}

// sendGraphQL sends an HTTP request and decodes the GraphQL answer.
func sendGraphQL(w *e2e.World, method, path, body string, header map[string]string) e2e.Answer {
	w.T.Helper()
	resp, text := w.Send(method, path, body, header)
	a := e2e.Decode[e2e.Answer](w.T, text)
	a.Status, a.Body = resp.StatusCode, text
	return a
}
