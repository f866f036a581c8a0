package requests

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestRepeatedBodyHeaders verifies that two media types are refused, since proxies may
// choose the other one.
func TestRepeatedBodyHeaders(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	const operation = `{"query":"{ __typename }"}`
	for name, tt := range map[string]struct {
		header   http.Header
		status   int
		argument string
	}{
		"one":                 {http.Header{"Content-Type": {`Application/JSON; Charset="UTF-8"`}}, http.StatusOK, ""},
		"twice the same":      {http.Header{"Content-Type": {"application/json", "application/json"}}, http.StatusBadRequest, "Content-Type"},
		"another charset":     {http.Header{"Content-Type": {"application/json", "application/json; charset=gbk"}}, http.StatusBadRequest, "Content-Type"},
		"another type":        {http.Header{"Content-Type": {"application/json", "text/plain"}}, http.StatusBadRequest, "Content-Type"},
		"in one line":         {http.Header{"Content-Type": {"application/json, application/json"}}, http.StatusUnsupportedMediaType, "Content-Type"},
		"not readable":        {http.Header{"Content-Type": {"multipart/form-data; boundary=a:b"}}, http.StatusUnsupportedMediaType, "Content-Type"},
		"a coding":            {http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}, http.StatusUnsupportedMediaType, "Content-Encoding"},
		"a coding behind":     {http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"identity", "gzip"}}, http.StatusUnsupportedMediaType, "Content-Encoding"},
		"codings in one line": {http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"identity, br"}}, http.StatusUnsupportedMediaType, "Content-Encoding"},
		"as it is":            {http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"", "Identity, identity"}}, http.StatusOK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL+"/graphql", strings.NewReader(operation))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = tt.header
			a, err := w.Do(req)
			if err != nil || a.Status != tt.status {
				t.Fatalf("%v, %d: %s", err, a.Status, a.Body)
			}
			if tt.argument == "" {
				return
			}
			if e := w.OnlyError(a); e.Extensions.Argument != tt.argument || e.Extensions.Code != "BAD_USER_INPUT" {
				t.Errorf("%s", a.Body)
			}
		})
	}
}

// TestOtherMethodsAreRefused verifies the header Allow and the JSON body.
func TestOtherMethodsAreRefused(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	for _, method := range []string{"PUT", "DELETE", "PATCH", "get", "post", "QUERY", "FOO"} {
		resp, body := w.Send(method, "/graphql", "", nil)
		if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "OPTIONS, GET, POST" ||
			resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("Vary") == "" ||
			resp.Header.Get("Content-Type") != "application/json; charset=utf-8" || !strings.Contains(string(body), "BAD_USER_INPUT") {
			t.Errorf("%s: %d %v %s", method, resp.StatusCode, resp.Header, body)
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/schema.graphql"} {
		for _, method := range []string{http.MethodPost, "PROPFIND"} {
			if resp, _ := w.Send(method, path, "", nil); resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, allowed is %q", method, path, resp.StatusCode, resp.Header.Get("Allow"))
			}
		}
	}
	for _, method := range []string{http.MethodPost, "PROPFIND"} {
		if resp, _ := w.Send(method, "/nothing", "", nil); resp.StatusCode != http.StatusNotFound || resp.Header.Get("Allow") != "" {
			t.Errorf("%s of an unknown path: %d, allowed is %q", method, resp.StatusCode, resp.Header.Get("Allow"))
		}
	}
}

// TestRepeatedMessageMembers verifies that a message's members must not be repeated.
func TestRepeatedMessageMembers(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	for _, text := range []string{
		`{"type":"connection_init","payload":{"Authorization":"Bearer a","Authorization":"Bearer b"}}`,
		`{"type":"connection_init","payload":{"Authorization":"Bearer a"},"payload":{}}`,
	} {
		s := w.Connect(nil)
		if err := s.Conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if code, reason := s.ClosedWith(); code != 4400 {
			t.Errorf("%s: closed with %d, %s", text, code, reason)
		}
	}
}
