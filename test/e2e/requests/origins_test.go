package requests

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestCrossOriginMutationsAreRejected sends a form from another origin, which browsers do without a
// preflight, to a gateway for anonymous callers.
func TestCrossOriginMutationsAreRejected(t *testing.T) {
	t.Parallel()
	const dashboards = "https://dashboards.example"
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.AllowedOrigins = []string{dashboards} })
	form := "--b\r\nContent-Disposition: form-data; name=\"operations\"\r\n\r\n" +
		`{"query":"mutation($f: Upload!) { createQueue(input: {name: \"x\"}) { queue { id } } uploadPackage(input: {file: $f}) { packageId } }","variables":{"f":null}}` +
		"\r\n--b\r\nContent-Disposition: form-data; name=\"map\"\r\n\r\n{\"0\":[\"variables.f\"]}" +
		"\r\n--b\r\nContent-Disposition: form-data; name=\"0\"; filename=\"f\"\r\n\r\n{}\r\n--b--\r\n"
	const query = `{"query":"{ __typename }"}`
	for name, tt := range map[string]struct {
		contentType, body string
		header            map[string]string
		status            int
	}{
		"form, cross-site":      {"multipart/form-data; boundary=b", form, map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, 403},
		"form, older browser":   {"multipart/form-data; boundary=b", form, map[string]string{"Origin": "https://evil.example"}, 403},
		"JSON, cross-site":      {"application/json", query, map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, 403},
		"a subdomain":           {"application/json", query, map[string]string{"Origin": "https://x.dashboards.example", "Sec-Fetch-Site": "cross-site"}, 403},
		"JSON, allowed":         {"application/json", query, map[string]string{"Origin": dashboards, "Sec-Fetch-Site": "cross-site"}, 200},
		"JSON, the page's own":  {"application/json", query, map[string]string{"Origin": w.URL, "Sec-Fetch-Site": "same-origin"}, 200},
		"JSON, from no browser": {"application/json", query, nil, 200},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := w.Send(http.MethodPost, "/graphql", tt.body, e2e.MergeHeaders(tt.header, map[string]string{"Content-Type": tt.contentType}))
			if resp.StatusCode != tt.status || tt.status == 403 && (!strings.Contains(string(body), "FORBIDDEN") || !strings.Contains(string(body), "Host")) {
				t.Errorf("status %d: %s", resp.StatusCode, body)
			}
			if allowed := resp.Header.Get("Access-Control-Allow-Origin"); (allowed == dashboards) != (tt.header["Origin"] == dashboards) {
				t.Errorf("Access-Control-Allow-Origin: %q", allowed)
			}
			if exposed := resp.Header.Get("Access-Control-Expose-Headers"); tt.header["Origin"] == dashboards && exposed != "Age, Etag, Retry-After, X-Request-Id" {
				t.Errorf("Access-Control-Expose-Headers: %q", exposed)
			}
		})
	}
	for name, tt := range map[string]struct {
		header http.Header
		status int
	}{
		"two origins":       {http.Header{"Origin": {w.URL, "https://evil.example"}}, 403},
		"an origin twice":   {http.Header{"Origin": {w.URL, w.URL}}, 403},
		"two sites":         {http.Header{"Sec-Fetch-Site": {"same-origin", "cross-site"}}, 403},
		"one of each":       {http.Header{"Origin": {w.URL}, "Sec-Fetch-Site": {"same-origin"}}, 200},
		"two, one allowed":  {http.Header{"Origin": {dashboards, "https://evil.example"}}, 403},
		"two, one is empty": {http.Header{"Origin": {"", "https://evil.example"}}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL+"/graphql", strings.NewReader(query))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = tt.header
			req.Header.Set("Content-Type", "application/json")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != tt.status {
				t.Errorf("status %d", resp.StatusCode)
			}
		})
	}
	w.CheckNoCalls()

	resp, _ := w.Send(http.MethodOptions, "/graphql", "", map[string]string{
		"Origin": dashboards, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "apollo-require-preflight,authorization,companyid,content-type,departmentid,traceparent",
	})
	if resp.StatusCode/100 != 2 || resp.Header.Get("Access-Control-Allow-Origin") != dashboards || !strings.Contains(strings.ToLower(resp.Header.Get("Access-Control-Allow-Headers")), "companyid, content-type, departmentid, traceparent") {
		t.Errorf("preflight: status %d, %v", resp.StatusCode, resp.Header)
	}

	conn, _, err := websocket.Dial(t.Context(), w.URL+"/graphql", &websocket.DialOptions{
		Subprotocols: []string{"graphql-transport-ws"}, HTTPHeader: http.Header{"Origin": {dashboards}},
	})
	if err != nil {
		t.Fatalf("WebSocket: %v", err)
	}
	_ = conn.CloseNow()
}

// TestDNSRebinding verifies that other host names are refused for callers without
// credentials.
func TestDNSRebinding(t *testing.T) {
	t.Parallel()
	const named = "http://dashboards.example:8080"
	for _, anonymous := range []bool{true, false} {
		w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) {
			s.Anonymous, s.AllowedOrigins = anonymous, []string{named}
		})
		for origin, may := range map[string]bool{
			"http://evil.example:8080": !anonymous, "http://evil.example": !anonymous, "http://localhost.evil.example": !anonymous, "http://10.evil": !anonymous, "http://evil.example.": !anonymous,
			named: true, "https://gateway.example": true, "http://localhost:8080": true, "http://app.localhost": true, "http://10.1.2.3:8080": true, "http://[::1]:8080": true, "http://gateway:8080": true,
		} {
			_, host, _ := strings.Cut(origin, "://")
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL+"/graphql", strings.NewReader(`{"query":"{ __typename }"}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Host = host
			req.Header.Set("Origin", origin)
			req.Header.Set("Content-Type", "application/json")
			a, err := w.Do(req)
			if err != nil || (a.Status == http.StatusOK) != may || !may && !strings.Contains(string(a.Body), "FORBIDDEN") {
				t.Errorf("anonymous %v, a page of %s is answered with %d %s, %v", anonymous, origin, a.Status, a.Body, err)
			}
			conn, _, err := websocket.Dial(t.Context(), w.URL+"/graphql", &websocket.DialOptions{
				Subprotocols: []string{"graphql-transport-ws"}, Host: host, HTTPHeader: http.Header{"Origin": {origin}},
			})
			if (err == nil) != may {
				t.Errorf("anonymous %v, a WebSocket of a page of %s is answered with %v", anonymous, origin, err)
			}
			if err == nil {
				_ = conn.CloseNow()
			}
		}
	}
}

// TestCrossOriginQueriesAreRejected verifies that a cross-origin GET by an image, a link or an
// EventSource is refused unless the origin is allowed.
func TestCrossOriginQueriesAreRejected(t *testing.T) {
	t.Parallel()
	const dashboards = "https://dashboards.example"
	for name, adjust := range map[string]func(*gateway.Settings, *consolesim.Server){
		"anonymous": func(s *gateway.Settings, _ *consolesim.Server) {}, "with credentials": e2e.WithoutAnonymous,
	} {
		w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, sim *consolesim.Server) {
			s.AllowedOrigins = []string{dashboards}
			adjust(s, sim)
		})
		get := "/graphql?query=" + url.QueryEscape(`{ __typename }`)
		for _, tt := range []struct {
			name, method, path string
			header             map[string]string
			status             int
		}{
			{"an image", "GET", get, map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403},
			{"an image of a sibling", "GET", get, map[string]string{"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, 403},
			{"a link", "GET", get, map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 403},
			{"a script", "GET", get, map[string]string{"Origin": "https://evil.example"}, 403},
			{"a sandboxed page", "GET", get, map[string]string{"Origin": "null"}, 403},
			{"another port", "GET", get, map[string]string{"Origin": "http://127.0.0.1:1"}, 403},
			{"an EventSource", "GET", get, map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example", "Accept": "text/event-stream"}, 403},
			{"an EventSource without Origin", "GET", get, map[string]string{"Sec-Fetch-Site": "cross-site", "Accept": "text/event-stream"}, 403},
			{"an image over http", "GET", get, map[string]string{"Referer": "http://evil.example/page"}, 403},
			{"HEAD", "HEAD", get, map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
			{"a form of texts", "POST", "/graphql", map[string]string{"Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"}, 403},
			{"a form", "POST", "/graphql", map[string]string{"Origin": "https://evil.example", "Content-Type": "application/x-www-form-urlencoded"}, 403},
			{"allowed", "GET", get, map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": dashboards}, 200},
			{"allowed, older", "GET", get, map[string]string{"Origin": dashboards}, 200},
			{"allowed, an image", "GET", get, map[string]string{"Referer": dashboards + "/page"}, 200},
			{"its own page", "GET", get, map[string]string{"Sec-Fetch-Site": "same-origin", "Referer": w.URL + "/"}, 200},
			{"its own page, older", "GET", get, map[string]string{"Referer": w.URL + "/"}, 200},
			{"typed", "GET", get, map[string]string{"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, 200},
			{"no browser", "GET", get, nil, 200},
			{"a link to the page", "GET", "/", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Referer": "https://wiki.example/"}, 200},
			{"a preflight", "OPTIONS", "/graphql", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": dashboards, "Access-Control-Request-Method": "POST"}, 200},
		} {
			resp, body := w.Send(tt.method, tt.path, "", tt.header)
			if resp.StatusCode != tt.status || tt.status == 403 && tt.method != "HEAD" && !strings.Contains(string(body), "FORBIDDEN") {
				t.Errorf("%s: %s is answered with %d: %.200s", name, tt.name, resp.StatusCode, body)
			}
		}
		w.CheckNoCalls()
	}
}

// TestAllowedHosts simulates DNS rebinding: a page sends a GET to its own host without an
// Origin, or with one that has no host.
func TestAllowedHosts(t *testing.T) {
	t.Parallel()
	for _, anonymous := range []bool{true, false} {
		w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) {
			s.Anonymous, s.AllowedOrigins = anonymous, []string{"https://gateway.example", "http://dashboards.example:3000"}
		})
		_, port, _ := strings.Cut(strings.TrimPrefix(w.URL, "http://"), ":")
		for host, may := range map[string]bool{
			"evil.example": !anonymous, "evil.example:" + port: !anonymous, "evil.example.": !anonymous, "localhost.evil.example": !anonymous,
			"127.0.0.1.evil.example": !anonymous, "gateway.example.evil": !anonymous, "xgateway.example": !anonymous, "10.evil": !anonymous,
			"localhost": true, "LOCALHOST:" + port: true, "localhost.": true, "app.localhost": true, "127.0.0.1:" + port: true, "[::1]:" + port: true, "10.1.2.3": true,
			"gateway.example": true, "GATEWAY.example:8443": true, "dashboards.example": true, "consoleql": true, "consoleql.tools.svc.cluster.local:8080": true,
		} {
			for name, r := range map[string]struct {
				method, path, body string
				header             map[string]string
			}{
				"GET":                           {"GET", "/graphql?query=" + url.QueryEscape(`{ __typename }`), "", nil},
				"POST":                          {"POST", "/graphql", `{"query":"{ __typename }"}`, e2e.JSONBody},
				"SSE":                           {"GET", "/graphql?query=" + url.QueryEscape(`{ __typename }`), "", map[string]string{"Accept": "text/event-stream"}},
				"GET of a page without a name":  {"GET", "/graphql?query=" + url.QueryEscape(`{ __typename }`), "", map[string]string{"Origin": "null", "Sec-Fetch-Site": "same-origin"}},
				"POST of a page without a name": {"POST", "/graphql", `{"query":"{ __typename }"}`, map[string]string{"Content-Type": "application/json", "Origin": "null", "Sec-Fetch-Site": "same-origin"}},
				"POST of an extension":          {"POST", "/graphql", `{"query":"{ __typename }"}`, map[string]string{"Content-Type": "application/json", "Origin": "chrome-extension://abc", "Sec-Fetch-Site": "none"}},
			} {
				req, err := http.NewRequestWithContext(t.Context(), r.method, w.URL+r.path, strings.NewReader(r.body))
				if err != nil {
					t.Fatal(err)
				}
				req.Host = host
				for k, v := range r.header {
					req.Header.Set(k, v)
				}
				resp, err := w.Client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if want := map[bool]int{true: 200, false: 403}[may]; resp.StatusCode != want {
					t.Errorf("anonymous %v, %s to %s: status %d", anonymous, name, host, resp.StatusCode)
				}
			}
			conn, _, err := websocket.Dial(t.Context(), w.URL+"/graphql", &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}, Host: host})
			if (err == nil) != may {
				t.Errorf("anonymous %v, a WebSocket to %s: %v", anonymous, host, err)
			}
			if err == nil {
				_ = conn.CloseNow()
			}
		}
		if anonymous {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL+"/graphql?query="+url.QueryEscape(`{ __typename }`), nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = "console.company.example"
			req.Header.Set("Authorization", w.TokenHeader("demo")["Authorization"])
			if a, err := w.Do(req); err != nil || a.Status != http.StatusOK {
				t.Errorf("a caller with credentials: %v, %d", err, a.Status)
			}
		}
	}
}

// TestOriginsAreNormalized verifies that the same pages may send requests and open
// WebSockets.
func TestOriginsAreNormalized(t *testing.T) {
	t.Parallel()
	allowed := []string{"http://[::1]:3000", "https://ok.example"}
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.AllowedOrigins = allowed })
	for origin, may := range map[string]bool{
		"http://[::1]:3000": true, "https://ok.example": true, "http://1:3000": false, "http://ok.example": false, "https://ok.example:8443": false, "null": false,
	} {
		resp, _ := w.Send(http.MethodPost, "/graphql", `{"query":"{ __typename }"}`, e2e.MergeHeaders(e2e.JSONBody, map[string]string{"Origin": origin}))
		if (resp.StatusCode == http.StatusOK) != may {
			t.Errorf("%s: a request is answered with status %d", origin, resp.StatusCode)
		}
		conn, _, err := websocket.Dial(t.Context(), w.URL+"/graphql", &websocket.DialOptions{
			Subprotocols: []string{"graphql-transport-ws"}, HTTPHeader: http.Header{"Origin": {origin}},
		})
		if (err == nil) != may {
			t.Errorf("%s: a WebSocket is answered with %v", origin, err)
		}
		if err == nil {
			_ = conn.CloseNow()
		}
	}
}

func TestOriginsAreChecked(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{"*", "dashboards.example", "https://", "https://a.example/", "https://a.example/x", "ftp://a.example", "https://u@a.example", "https://*.example", "https://A.example", "https://a.example:443", "http://a.example:80", "https://a.example:"} {
		s := &gateway.Settings{Listeners: gateway.Listeners{AllowedOrigins: []string{origin}}}
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "--allowed-origins") {
			t.Errorf("%s: %v", origin, err)
		}
	}
}
