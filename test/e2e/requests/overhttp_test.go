package requests

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestEndlessBodies verifies that content behind the JSON is refused, and that no operation
// is executed.
func TestEndlessBodies(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]func(*gateway.Settings, *consolesim.Server){"cached": e2e.WithCache, "uncached": func(*gateway.Settings, *consolesim.Server) {}} {
		w := e2e.NewWorld(t, consolesim.Options{}, settings)
		const operation = `{"query":"mutation { createQueue(input: {name: \"twice\"}) { queue { name } } }"}`
		for _, behind := range []string{` trailing`, `{"query":"{ __typename }"}`, `]`} {
			for _, accept := range []string{"*/*", "text/event-stream"} {
				w.Sim.ResetCounts()
				resp, body := w.Send(http.MethodPost, "/graphql", operation+behind, e2e.MergeHeaders(e2e.JSONBody, map[string]string{"Accept": accept}))
				if resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "BAD_USER_INPUT") {
					t.Errorf("%s, %s behind the operation, for %s: %d %s", name, behind, accept, resp.StatusCode, body)
				}
				w.CheckNoCalls()
			}
		}
	}
}

// TestBatchesOfOperations verifies that an array of operations is answered by an array of as many
// errors, and that none of the operations runs.
func TestBatchesOfOperations(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	const operation = `{"query":"mutation { createQueue(input: {name: \"batch\"}) { queue { name } } }","variables":{"a":"hunter2"}}`
	for sent, want := range map[int]int{1: 1, 3: 3, 100: 100, 101: 100, 1000: 100} {
		for _, media := range []string{"application/json", "application/graphql-response+json"} {
			resp, body := w.Send(http.MethodPost, "/graphql", " \n["+strings.Repeat(operation+",", sent-1)+operation+"]", e2e.MergeHeaders(e2e.JSONBody, map[string]string{"Accept": media}))
			all := e2e.Decode[[]e2e.Answer](t, body)
			if resp.StatusCode != http.StatusBadRequest || resp.Header.Get("Content-Type") != media+"; charset=utf-8" || len(all) != want {
				t.Errorf("%d operations: %d %v, %d results", sent, resp.StatusCode, resp.Header, len(all))
			}
			for _, a := range all {
				if e := w.OnlyError(a); e.Extensions.Code != "BAD_USER_INPUT" || len(a.Data) > 0 {
					t.Errorf("%+v", a)
				}
			}
			if strings.Contains(string(body), "hunter2") {
				t.Errorf("the answer repeats what was sent: %.500s", body)
			}
		}
	}
	resp, body := w.Send(http.MethodPost, "/graphql", "["+operation+"]", e2e.MergeHeaders(e2e.JSONBody, map[string]string{"X-Api-Key": "nope"}))
	if resp.StatusCode != http.StatusUnauthorized || strings.HasPrefix(string(body), "[") {
		t.Errorf("with a refused key: %d %s", resp.StatusCode, body)
	}
	w.CheckNoCalls()
}

// TestRefusalsHaveRequestedMediaType verifies that refusals have the accepted media type,
// and no data.
func TestRefusalsHaveRequestedMediaType(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	const query = `{"query":"{ __typename }"}`
	for name, tt := range map[string]struct {
		method, path, body string
		header             map[string]string
		status             int
		code               string
	}{
		"credentials":     {"POST", "/graphql", query, e2e.MergeHeaders(e2e.JSONBody, map[string]string{"X-Api-Key": "nope"}), 401, "UNAUTHENTICATED"},
		"scope":           {"POST", "/graphql", query, e2e.MergeHeaders(e2e.JSONBody, map[string]string{"CompanyId": "nope"}), 400, "BAD_USER_INPUT"},
		"trace":           {"POST", "/graphql", query, e2e.MergeHeaders(e2e.JSONBody, map[string]string{"X-ConsoleQL-Trace": "nope"}), 400, "BAD_USER_INPUT"},
		"content type":    {"POST", "/graphql", query, map[string]string{"Content-Type": "text/plain"}, 415, "BAD_USER_INPUT"},
		"encoding":        {"POST", "/graphql", query, e2e.MergeHeaders(e2e.JSONBody, map[string]string{"Content-Encoding": "br"}), 415, "BAD_USER_INPUT"},
		"method":          {"PUT", "/graphql", query, e2e.JSONBody, 405, "BAD_USER_INPUT"},
		"no JSON":         {"POST", "/graphql", `{`, e2e.JSONBody, 400, "BAD_USER_INPUT"},
		"no object":       {"POST", "/graphql", `[]`, e2e.JSONBody, 400, "BAD_USER_INPUT"},
		"mutation by GET": {"GET", "/graphql?query=" + url.QueryEscape(`mutation { signOut { ok } }`), "", nil, 405, "BAD_USER_INPUT"},
		"syntax":          {"POST", "/graphql", `{"query":"{"}`, e2e.JSONBody, 400, "GRAPHQL_PARSE_FAILED"},
		"validation":      {"POST", "/graphql", `{"query":"{ nope }"}`, e2e.JSONBody, 400, "GRAPHQL_VALIDATION_FAILED"},
		"form":            {"POST", "/graphql", "--B--", map[string]string{"Content-Type": "multipart/form-data; boundary=B"}, 400, "BAD_USER_INPUT"},
	} {
		for accept, want := range map[string]string{
			"":                                  "application/json",
			"*/*":                               "application/json",
			"application/graphql-response+json": "application/graphql-response+json",
			"application/json;q=0.5, application/graphql-response+json": "application/graphql-response+json",
			"application/graphql-response+json;q=0, application/json":   "application/json",
		} {
			header := e2e.MergeHeaders(tt.header, map[string]string{"Accept": accept})
			resp, body := w.Send(tt.method, tt.path, tt.body, header)
			status := tt.status
			if want == "application/json" && (name == "syntax" || name == "validation") {
				status = http.StatusUnprocessableEntity
			}
			if got := resp.Header.Get("Content-Type"); got != want+"; charset=utf-8" || resp.StatusCode != status {
				t.Errorf("%s for %q: %d %s, want %d %s", name, accept, resp.StatusCode, got, status, want)
			}
			var members map[string]json.RawMessage
			if err := json.Unmarshal(body, &members); err != nil || len(members) != 1 || !strings.Contains(string(members["errors"]), tt.code) {
				t.Errorf("%s for %q: %s", name, accept, body)
			}
		}
	}
}
