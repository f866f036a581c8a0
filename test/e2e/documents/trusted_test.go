package documents

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

const (
	trusted = `query Trusted { viewer { userName } }`
	foreign = `query Foreign { queues(first: 1) { totalCount } }`
	invalid = `{ this is no GraphQL`
)

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// manifest writes a manifest of ids and texts, and returns its path.
func manifest(t *testing.T, path string, texts map[string]string) string {
	t.Helper()
	if err := os.WriteFile(path, e2e.Encode(t, texts), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// persisted returns the extension persistedQuery for a hash.
func persisted(hash string) map[string]any {
	return map[string]any{"persistedQuery": map[string]any{"version": 1, "sha256Hash": hash}}
}

// transports send the members of a request, each in its own way.
var transports = map[string]func(w *e2e.World, members map[string]any) e2e.Answer{
	"POST": func(w *e2e.World, members map[string]any) e2e.Answer {
		return w.Exchange(http.MethodPost, "/graphql", string(e2e.Encode(w.T, members)), e2e.JSONBody).Answer
	},
	"POST for events": func(w *e2e.World, members map[string]any) e2e.Answer {
		return w.Exchange(http.MethodPost, "/graphql", string(e2e.Encode(w.T, members)), e2e.MergeHeaders(e2e.JSONBody, map[string]string{"Accept": "text/event-stream"})).Answer
	},
	"GET": func(w *e2e.World, members map[string]any) e2e.Answer {
		return w.Exchange(http.MethodGet, "/graphql?"+queryString(w.T, members), "", nil).Answer
	},
	"GET for events": func(w *e2e.World, members map[string]any) e2e.Answer {
		return w.Exchange(http.MethodGet, "/graphql?"+queryString(w.T, members), "", map[string]string{"Accept": "text/event-stream"}).Answer
	},
	"WebSocket": func(w *e2e.World, members map[string]any) e2e.Answer {
		s := w.Socket(nil)
		defer func() { _ = s.Conn.CloseNow() }()
		s.Send(e2e.Message{ID: "1", Type: "subscribe", Payload: e2e.Encode(w.T, members)})
		m := s.Receive()
		if m.Type == "error" {
			return e2e.Answer{Body: m.Payload, Errors: e2e.Decode[[]e2e.GraphError](w.T, m.Payload)}
		}
		return e2e.Decode[e2e.Answer](w.T, m.Payload)
	},
	"multipart": func(w *e2e.World, members map[string]any) e2e.Answer {
		form := e2e.JoinForm("", "", e2e.FormPart(`Content-Disposition: form-data; name="operations"`, string(e2e.Encode(w.T, members))),
			e2e.FormPart(`Content-Disposition: form-data; name="map"`, `{"0":["variables.file"]}`),
			e2e.FormPart(`Content-Disposition: form-data; name="0"; filename="a"`, "x"))
		return w.Exchange(http.MethodPost, "/graphql", form, map[string]string{"Content-Type": "multipart/form-data; boundary=B"}).Answer
	},
}

func queryString(t testing.TB, members map[string]any) string {
	values := url.Values{}
	for name, value := range members {
		text, ok := value.(string)
		if !ok {
			text = string(e2e.Encode(t, value))
		}
		values.Set(name, text)
	}
	return values.Encode()
}

// codeOf returns the code of the only error; empty: there is none.
func codeOf(w *e2e.World, a e2e.Answer) string {
	w.T.Helper()
	if len(a.Errors) == 0 {
		if len(a.Data) == 0 {
			w.T.Errorf("neither data nor errors: %s", a.Body)
		}
		return ""
	}
	return w.OnlyError(a).Extensions.Code
}

// TestTransportsAndModes sends documents by id and by text over each transport to a released
// binary, in each mode.
func TestTransportsAndModes(t *testing.T) {
	t.Parallel()
	const upload = e2e.UploadQuery
	path := manifest(t, filepath.Join(t.TempDir(), "manifest.json"), map[string]string{"viewer": trusted, "sha256:" + hashOf(upload): upload})
	for mode, want := range map[string]map[string]string{
		"only": {"no hash": "PERSISTED_QUERY_NOT_FOUND", "no hash, and a text": "BAD_USER_INPUT", "unknown id": "PERSISTED_QUERY_NOT_FOUND", "unknown hash": "PERSISTED_QUERY_NOT_FOUND", "foreign": "DOCUMENT_NOT_TRUSTED", "invalid": "DOCUMENT_NOT_TRUSTED", "other text": "DOCUMENT_NOT_TRUSTED"},
		"log":  {"no hash": "PERSISTED_QUERY_NOT_FOUND", "no hash, and a text": "BAD_USER_INPUT", "unknown id": "PERSISTED_QUERY_NOT_FOUND", "unknown hash": "PERSISTED_QUERY_NOT_FOUND", "invalid": "GRAPHQL_PARSE_FAILED", "other text": "BAD_USER_INPUT"},
		"off":  {"persisted": "PERSISTED_QUERY_NOT_FOUND", "no hash": "PERSISTED_QUERY_NOT_FOUND", "no hash, and a text": "BAD_USER_INPUT", "id": "PERSISTED_QUERY_NOT_FOUND", "doc_id": "PERSISTED_QUERY_NOT_FOUND", "unknown id": "PERSISTED_QUERY_NOT_FOUND", "unknown hash": "PERSISTED_QUERY_NOT_FOUND", "invalid": "GRAPHQL_PARSE_FAILED"},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			sim := e2e.NewSim(t, consolesim.Options{})
			p := e2e.NewProcess(t, sim, "", "CONSOLEQL_TRUSTED_DOCUMENTS="+path, "CONSOLEQL_TRUSTED_DOCUMENTS_MODE="+mode)
			for name, members := range map[string]map[string]any{
				"id":                  {"documentId": "viewer"},
				"doc_id":              {"doc_id": "viewer"},
				"unknown id":          {"documentId": "other"},
				"unknown hash":        {"extensions": persisted(hashOf("other"))},
				"persisted":           {"extensions": persisted("viewer")},
				"no hash":             {"extensions": persisted("other")},
				"no hash, and a text": {"query": trusted, "extensions": persisted("other")},
				"text":                {"query": trusted},
				"foreign":             {"query": foreign},
				"invalid":             {"query": invalid},
				"other text":          {"query": foreign, "documentId": "viewer"},
				"__typename":          {"query": "{ __typename }"},
				"the schema":          {"query": "{ __schema { queryType { name } } }"},
			} {
				for transport, send := range transports {
					if transport == "multipart" {
						continue // it needs a file, and therefore another document
					}
					if got := codeOf(p.World, send(p.World, members)); got != want[name] {
						t.Errorf("%s over %s: %q, want %q", name, transport, got, want[name])
					}
				}
			}
			file := map[string]any{"file": nil}
			for name, members := range map[string]map[string]any{
				"id":         {"documentId": hashOf(upload), "variables": file},
				"unknown id": {"documentId": "other", "variables": file},
				"foreign":    {"query": "#\n" + upload, "variables": file},
				"invalid":    {"query": invalid, "variables": file},
			} {
				if got := codeOf(p.World, transports["multipart"](p.World, members)); got != want[name] {
					t.Errorf("%s over multipart: %q, want %q", name, got, want[name])
				}
			}
			if n := strings.Count(p.Log.String(), "a document ran that is not trusted"); mode == "log" && n != 2 || mode != "log" && n != 0 {
				t.Errorf("%d lines about documents that are not trusted:\n%s", n, p.Log)
			}
		})
	}
}

// TestUntrustedDocumentsMakeNoCalls verifies that a refused document makes no console call.
func TestUntrustedDocumentsMakeNoCalls(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, only(t, filepath.Join(t.TempDir(), "manifest.json")), func(s *gateway.Settings, _ *consolesim.Server) { s.Introspection = "off" })
	for transport, send := range transports {
		for name, members := range map[string]map[string]any{
			"text":       {"query": foreign, "variables": map[string]any{"file": nil}},
			"no GraphQL": {"query": invalid, "variables": map[string]any{"file": nil}},
			"the schema": {"query": "{ __schema { queryType { name } } }", "variables": map[string]any{"file": nil}},
		} {
			if got := codeOf(w, send(w, members)); got != "DOCUMENT_NOT_TRUSTED" {
				t.Errorf("%s over %s: %q", name, transport, got)
			}
		}
	}
	w.CheckNoCalls()
}

// only trusts the document trusted alone.
func only(t *testing.T, path string) func(*gateway.Settings, *consolesim.Server) {
	manifest(t, path, map[string]string{"viewer": trusted})
	return func(s *gateway.Settings, _ *consolesim.Server) {
		s.TrustedDocuments, s.TrustedDocumentsMode = path, "only"
	}
}

// TestGenerators runs documents of manifests as the generators of clients write them.
func TestGenerators(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) {
		s.TrustedDocuments, s.TrustedDocumentsMode = "../../../internal/trusteddocuments/testdata", "only"
	})
	variables := map[string]any{"first": 3}
	const apollo, codegen = "6f7283f274f2aa2e9305f435800e3be21c2a761d50570ff8a02a5a234c65b40f", "5f1619b24b1edb1bd952255de4fb09e128a2ee5688581ad56abdd43d79ac91b0"
	for name, members := range map[string]map[string]any{
		"Apollo":                  {"extensions": persisted(apollo), "variables": variables},
		"Relay":                   {"doc_id": "1276e20c74608b62d1567e87312ea046", "variables": variables},
		"graphql-codegen":         {"documentId": "sha256:" + codegen, "variables": variables},
		"graphql-codegen, Apollo": {"extensions": persisted(codegen), "variables": variables},
	} {
		for transport, send := range transports {
			if transport == "multipart" {
				continue
			}
			if a := send(w, members); len(a.Errors) > 0 || !bytes.Contains(a.Data, []byte(`"totalCount"`)) {
				t.Errorf("%s over %s: %s", name, transport, a.Body)
			}
		}
	}
	s := w.Socket(nil)
	s.Send(e2e.Message{ID: "1", Type: "subscribe", Payload: json.RawMessage(`{"documentId":"42dbd56ff4eb1aec8e051eea8e367e8fee20d891122599db415c1eab1c0ecd60"}`)})
	w.AwaitPolls(1)
	robot := w.Sim.Data().RobotIDs(w.Sim.Data().MainDepartmentID())[0]
	w.Sim.SetRobotStatus(robot, "Busy")
	if a := s.Next("1"); len(a.Errors) > 0 {
		t.Errorf("%s", a.Body)
	}
}

// TestIDWithBody verifies that the query string of a POST names a document.
func TestIDWithBody(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, only(t, filepath.Join(t.TempDir(), "manifest.json")))
	for target, want := range map[string]string{"documentId=viewer": "", "doc_id=viewer": "", "documentId=other": "PERSISTED_QUERY_NOT_FOUND", "query=%7Bcheese%7D&documentId=viewer": ""} {
		if got := codeOf(w, w.Exchange(http.MethodPost, "/graphql?"+target, `{"variables":{}}`, e2e.JSONBody).Answer); got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
	if a := w.Exchange(http.MethodPost, "/graphql?documentId=viewer", `{"documentId":"other"}`, e2e.JSONBody).Answer; codeOf(w, a) != "BAD_USER_INPUT" {
		t.Errorf("two ids: %s", a.Body)
	}
	form := e2e.JoinForm("", "", e2e.FormPart(`Content-Disposition: form-data; name="operations"`, `{"variables":{"file":null}}`),
		e2e.FormPart(`Content-Disposition: form-data; name="map"`, `{"0":["variables.file"]}`),
		e2e.FormPart(`Content-Disposition: form-data; name="0"; filename="a"`, "x"))
	if a := w.Exchange(http.MethodPost, "/graphql?documentId=viewer", form, map[string]string{"Content-Type": "multipart/form-data; boundary=B"}).Answer; codeOf(w, a) != "" {
		t.Errorf("multipart: %s", a.Body)
	}
}

// TestAnswersByDocumentID verifies that a GET by id has the headers and the cached answer of its text.
func TestAnswersByDocumentID(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache, only(t, filepath.Join(t.TempDir(), "manifest.json")))
	first, _ := w.Send(http.MethodGet, "/graphql?documentId=viewer", "", nil)
	w.Sim.ResetCounts()
	second, _ := w.Send(http.MethodGet, "/graphql?"+queryString(t, map[string]any{"query": trusted}), "", nil)
	w.CheckNoCalls()
	if etag := first.Header.Get("ETag"); etag == "" || etag != second.Header.Get("ETag") || first.Header.Get("Cache-Control") != second.Header.Get("Cache-Control") || !strings.Contains(first.Header.Get("Cache-Control"), "max-age") {
		t.Errorf("%v, %v", first.Header, second.Header)
	}
	resp, _ := w.Send(http.MethodGet, "/graphql?"+queryString(t, map[string]any{"extensions": persisted("viewer")}), "", map[string]string{"If-None-Match": first.Header.Get("ETag")})
	if resp.StatusCode != http.StatusNotModified {
		t.Errorf("status %d", resp.StatusCode)
	}
	w.CheckNoCalls()
}

// TestReload changes a manifest while a released binary runs. A removed document is refused even
// where its answer is cached. A manifest that cannot be read changes nothing.
func TestReload(t *testing.T) {
	t.Parallel()
	path := manifest(t, filepath.Join(t.TempDir(), "manifest.json"), map[string]string{"viewer": trusted})
	sim := e2e.NewSim(t, consolesim.Options{})
	p := e2e.NewProcess(t, sim, "", "CONSOLEQL_TRUSTED_DOCUMENTS="+filepath.Dir(path), "CONSOLEQL_TRUSTED_DOCUMENTS_MODE=only", "CONSOLEQL_CACHE=on")
	code := func(members map[string]any) string { return codeOf(p.World, transports["POST"](p.World, members)) }
	byID := map[string]any{"documentId": "viewer"}
	if got := code(byID); got != "" {
		t.Fatal(got)
	}
	manifest(t, path, map[string]string{"queues": foreign})
	e2e.Await(t, "the new list", func() bool { return code(map[string]any{"documentId": "queues"}) == "" })
	if one, two := code(byID), code(map[string]any{"query": trusted}); one != "PERSISTED_QUERY_NOT_FOUND" || two != "DOCUMENT_NOT_TRUSTED" {
		t.Errorf("a removed document: %q by id, %q by text", one, two)
	}
	if err := os.WriteFile(path, []byte(`{"queues":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	e2e.Await(t, "the refusal", func() bool { return strings.Contains(p.Log.String(), "cannot be used") })
	if got := code(map[string]any{"documentId": "queues"}); got != "" || !strings.Contains(p.Log.String(), path) {
		t.Errorf("a bad file has changed the list: %q\n%s", got, p.Log)
	}
	manifest(t, filepath.Join(filepath.Dir(path), "second.json"), map[string]string{"viewer": trusted})
	manifest(t, path, map[string]string{})
	e2e.Await(t, "a second file", func() bool { return code(byID) == "" })
}

// TestLogMode verifies that documents that are not trusted run, and are logged once each. A
// document that may contain a password is logged without its hash.
func TestLogMode(t *testing.T) {
	t.Parallel()
	path := manifest(t, filepath.Join(t.TempDir(), "manifest.json"), map[string]string{"viewer": trusted})
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.TrustedDocuments = path })
	const secret = `mutation Secret { signIn(input: {username: "nobody", password: "hunter2"}) { expiresAt } }`
	for range 3 {
		for _, query := range []string{trusted, foreign, secret, "{ __typename }"} {
			w.Ask(query, e2e.Request{})
		}
	}
	lines := 0
	for line := range strings.Lines(w.Logs.String()) {
		if !strings.Contains(line, "a document ran that is not trusted") {
			continue
		}
		lines++
		found := e2e.Decode[struct{ Document, Name, Type string }](t, []byte(line))
		want := map[string]string{"Foreign": hashOf(foreign), "Secret": ""}
		if hash, ok := want[found.Name]; !ok || hash != found.Document {
			t.Errorf("%s", line)
		}
	}
	if lines != 2 || strings.Contains(w.Logs.String(), hashOf(secret)) {
		t.Errorf("%d lines\n%s", lines, w.Logs)
	}
}

// TestRefusedAtStart verifies that a manifest that cannot be read ends the start.
func TestRefusedAtStart(t *testing.T) {
	t.Parallel()
	sim := e2e.NewSim(t, consolesim.Options{})
	for name, path := range map[string]string{"absent": filepath.Join(t.TempDir(), "absent.json"), "no manifest": "trusted_test.go"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &gateway.Settings{
				Listeners: gateway.Listeners{Listen: "127.0.0.1:0"}, Console: gateway.Console{ConsoleURL: sim.APIURL(), SSOURL: sim.SSOURL(), ConsoleIDs: "auto"},
				Documents: gateway.Documents{TrustedDocuments: path}, Logging: gateway.Logging{LogLevel: "info", LogFormat: "json", AccessLog: "off", AuditLog: "off"},
			}
			logs := &e2e.LockedBuffer{}
			log, err := s.Logger(logs)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Stream.Close()
			if _, err := gateway.New(t.Context(), s, log, gateway.Page{}); err == nil || !strings.Contains(err.Error(), "--trusted-documents: ") || !strings.Contains(err.Error(), filepath.Base(path)) {
				t.Errorf("%v\n%s", err, logs)
			}
		})
	}
}
