package consoleclient

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/consoleql/consoleql/internal/scope"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	company    = "40143948-f359-4b9f-949f-ad179bcf1397"
	department = "1c3464c8-6939-4b13-ba5d-45f44ed8b671"
	guid       = "ac87fd69-af43-4378-984a-ca806f826e50"
	otherGUID  = "545b37c3-286a-4296-9b40-e89b974a3b93"
	bearer     = "the-access-token-of-the-test"
)

var testScope = scope.Scope{CompanyID: company, DepartmentID: department}

type staticToken string

func (s staticToken) Token(context.Context) (string, error) { return string(s), nil }

func (staticToken) Refused(context.Context, string) {}

// received is a request as received by the server.
type received struct {
	Method, Path, Query, Host string
	Header                    http.Header
	Body                      []byte
	Length                    int64
}

// console is a server that records all requests and has one handler.
type console struct {
	*httptest.Server
	mu       sync.Mutex
	requests []received
}

func (c *console) all() []received {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.requests)
}

// last returns the only request since its last call.
func (c *console) last(t *testing.T) received {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.requests) != 1 {
		t.Fatalf("the console was asked %d times, want once", len(c.requests))
	}
	r := c.requests[0]
	c.requests = nil
	return r
}

func serve(t *testing.T, answer http.HandlerFunc) *console {
	t.Helper()
	c := &console{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		c.mu.Lock()
		c.requests = append(c.requests, received{
			r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Host, r.Header.Clone(), body, r.ContentLength,
		})
		c.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(c.Close)
	return c
}

func jsonAnswer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = io.WriteString(w, body)
	}
}

func statusAnswer(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// dropConnection closes the connection instead of answering.
func dropConnection(http.ResponseWriter, *http.Request) {
	panic(http.ErrAbortHandler) //nolint:forbidigo // the way to abort a handler in net/http
}

func newTestClient(t *testing.T, c *console, change func(*Options)) *Client {
	t.Helper()
	o := Options{APIURL: c.URL, SSOURL: c.URL, Tokens: staticToken(bearer)}
	if change != nil {
		change(&o)
	}
	client, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// operationTest calls one operation with the document's example as response, in each dialect.
type operationTest struct {
	operation string // the document's method and path
	path      string // expected path
	query     string // expected query, decoded: "Name=a&PageIndex=1"
	body      string // expected body as JSON; empty: none
	// call makes the call and returns the result in the shape of the response: {count, list} for lists.
	call func(context.Context, *Client) (any, error)
	// single reports that the response is one entity, which may be wrapped.
	single bool
}

func (o operationTest) run(t *testing.T) {
	t.Helper()
	d := operationOf(t, o.operation)
	t.Run(o.operation, func(t *testing.T) {
		if d.answer == nil {
			for name, answer := range map[string]http.HandlerFunc{
				"204":                statusAnswer(http.StatusNoContent, "text/plain", ""),
				"200 without a body": jsonAnswer(""),
				"200 with an entity": jsonAnswer(`{"id":"` + guid + `"}`),
			} {
				t.Run(name, func(t *testing.T) { o.check(t, answer, nil) })
			}
			return
		}
		wire := camel(d.answer)
		want := o.expected(wire)
		for _, v := range o.dialects(d.answer, wire) {
			t.Run(v.name, func(t *testing.T) {
				want := want
				if v.want != nil {
					want = v.want(want)
				}
				o.check(t, jsonAnswer(encode(t, v.answer)), want)
			})
		}
	})
}

// expected returns the full expected result for a response.
func (o operationTest) expected(wire any) any {
	if m, ok := wire.(map[string]any); ok && o.single {
		if list, wrapped := m["list"].([]any); wrapped {
			wire = list[0]
		}
	}
	return mapTree(wire, func(key string, value any) (string, any, bool) {
		if key == "lastRunInstaceId" {
			key = "lastRunInstanceId"
		}
		return key, value, true
	})
}

type dialect struct {
	name   string
	answer any
	want   func(any) any // nil: the document's example, entirely
}

func (o operationTest) dialects(example, wire any) []dialect {
	withoutEnums := func(v any) any {
		return mapEnums(v, func(*enum, any) (any, bool) { return nil, false })
	}
	unknown := func(value any) any {
		return mapEnums(wire, func(*enum, any) (any, bool) { return value, true })
	}
	out := []dialect{
		{name: "PascalCase", answer: example},
		{name: "camelCase", answer: wire},
		{name: "enums in another case", answer: mapEnums(wire, func(_ *enum, v any) (any, bool) {
			return strings.ToUpper(v.(string)), true
		})},
		{name: "enums as integers", answer: mapEnums(wire, func(e *enum, v any) (any, bool) {
			return e.byName[strings.ToLower(v.(string))] - 1, true
		})},
		{name: "enums as numeric texts", answer: mapEnums(wire, func(e *enum, v any) (any, bool) {
			return strconv.Itoa(int(e.byName[strings.ToLower(v.(string))]) - 1), true
		})},
		{name: "unknown enum names", answer: unknown("Quiesced"), want: unknownEnums},
		{name: "unknown enum integers", answer: unknown(97), want: unknownEnums},
		{name: "enums as objects", answer: unknown(map[string]any{"a": 1}), want: unknownEnums},
		{name: "enums null", answer: unknown(nil), want: withoutEnums},
		{name: "numbers as texts", answer: mapTree(wire, func(key string, v any) (string, any, bool) {
			if n, ok := v.(float64); ok {
				return key, strconv.Itoa(int(n)), true
			}
			return key, v, true
		})},
		{name: "undocumented fields", answer: extended(wire)},
	}
	if o.single {
		entity := wire
		if m, ok := wire.(map[string]any); ok && m["list"] != nil {
			entity = m["list"].([]any)[0]
		}
		out = append(out,
			dialect{name: "bare", answer: entity},
			dialect{name: "wrapped", answer: map[string]any{"count": 1, "list": []any{entity}}},
			dialect{name: "Wrapped", answer: map[string]any{"Count": 1, "List": []any{entity}}},
		)
	}
	return out
}

// unknownEnums returns a tree with all enum values unknown. A pointer to an unknown value is written as "", a plain
// one is omitted.
func unknownEnums(v any) any {
	return mapTree(v, func(key string, value any) (string, any, bool) {
		if key == "jobStartupType" || key == "jobExecutionPolicy" {
			return key, "", true
		}
		return key, value, enumOf(key, value) == nil
	})
}

// extended adds undocumented members, as consoles send them, to each object of a tree.
func extended(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{
			"tenantId": guid, "resourceGroupId": nil, "maxRunSeconds": 3600, "runAsAdmin": true, "hashValue": []any{1},
			"clientSecret": "secret-1", "connectionString": "secret-2", "licensePoolKey": "secret-3",
		}
		for key, value := range v {
			if opaque(key) {
				out[key] = value
			} else {
				out[key] = extended(value)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = extended(v[i])
		}
		return out
	}
	return v
}

func (o operationTest) check(t *testing.T, answer http.HandlerFunc, want any) {
	t.Helper()
	console := serve(t, answer)
	got, err := o.call(t.Context(), newTestClient(t, console, nil))
	if err != nil {
		t.Fatal(err)
	}
	if want != nil {
		if diff := cmp.Diff(want, tree(t, got)); diff != "" {
			t.Errorf("what was understood of the answer (-want +got):\n%s", diff)
		}
	}
	o.checkRequest(t, console.last(t))
}

func (o operationTest) checkRequest(t *testing.T, r received) {
	t.Helper()
	method, _, _ := strings.Cut(o.operation, " ")
	query, err := url.QueryUnescape(r.Query)
	if err != nil {
		t.Error(err)
	}
	if r.Method != method || r.Path != o.path || query != o.query {
		t.Errorf("asked %s %s?%s, want %s %s?%s", r.Method, r.Path, query, method, o.path, o.query)
	}
	if o.body != "" {
		var want, got any
		if err := json.Unmarshal([]byte(o.body), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(r.Body, &got); err != nil {
			t.Fatalf("sent %q: %v", r.Body, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("body (-want +got):\n%s", diff)
		}
		if got := r.Header.Get("Content-Type"); got != "application/json" {
			t.Errorf("Content-Type %q", got)
		}
	} else if method == http.MethodGet && len(r.Body) > 0 {
		t.Errorf("sent a body %q", r.Body)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer " + bearer, "CompanyId": company, "DepartmentId": department, "User-Agent": "consoleql",
	} {
		if got := r.Header.Values(name); !slices.Equal(got, []string{want}) {
			t.Errorf("header %s: %q, want %q", name, got, want)
		}
	}
	checkParams(t, o.operation, r.Query)
}

// checkParams fails for a parameter that the document does not list for the operation. Ids is undocumented but
// accepted.
func checkParams(t *testing.T, operation, rawQuery string) {
	t.Helper()
	q, err := url.ParseQuery(rawQuery)
	if err != nil {
		t.Fatal(err)
	}
	documented := operationOf(t, operation).params
	for name := range q {
		if name != "Ids" && !slices.Contains(documented, name) {
			t.Errorf("parameter %s is not documented for %s: %v", name, operation, documented)
		}
	}
}

// page converts a page to the shape of its response.
func page[T any](p *Page[T], err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return map[string]any{"count": p.Count, "list": p.List}, nil
}

func encode(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// tree converts a value to plain maps.
func tree(t *testing.T, v any) any {
	t.Helper()
	b, err := jsonv2.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func ptr[T any](v T) *T { return &v }

// filled returns the first zero field of a struct. It proves that a test sets all fields.
func filled(v any) string {
	rv := reflect.ValueOf(v)
	for i := range rv.NumField() {
		if f := rv.Type().Field(i); f.IsExported() && rv.Field(i).IsZero() {
			return f.Name
		}
	}
	return ""
}
