package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// TestForeignPagesChangeNothing: a browser sends a form to any host without
// asking it first, and here every caller may change the console.
func TestForeignPagesChangeNothing(t *testing.T) {
	const dashboards = "https://dashboards.example"
	w := newWorld(t, consolesim.Options{}, func(s *settings, _ *consolesim.Server) { s.AllowedOrigins = []string{dashboards} })
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
		"JSON, the page's own":  {"application/json", query, map[string]string{"Origin": w.url, "Sec-Fetch-Site": "same-origin"}, 200},
		"JSON, from no browser": {"application/json", query, nil, 200},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := w.send(http.MethodPost, "/graphql", tt.body, with(tt.header, map[string]string{"Content-Type": tt.contentType}))
			if resp.StatusCode != tt.status || tt.status == 403 && (!strings.Contains(string(body), "FORBIDDEN") || !strings.Contains(string(body), "Host")) {
				t.Errorf("status %d: %s", resp.StatusCode, body)
			}
			if allowed := resp.Header.Get("Access-Control-Allow-Origin"); (allowed == dashboards) != (tt.header["Origin"] == dashboards) {
				t.Errorf("Access-Control-Allow-Origin: %q", allowed)
			}
		})
	}
	w.noCalls()

	resp, _ := w.send(http.MethodOptions, "/graphql", "", map[string]string{
		"Origin": dashboards, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "apollo-require-preflight,authorization,companyid,content-type,departmentid,traceparent",
	})
	if resp.StatusCode/100 != 2 || resp.Header.Get("Access-Control-Allow-Origin") != dashboards || !strings.Contains(strings.ToLower(resp.Header.Get("Access-Control-Allow-Headers")), "companyid, content-type, departmentid, traceparent") {
		t.Errorf("preflight: status %d, %v", resp.StatusCode, resp.Header)
	}

	conn, _, err := websocket.Dial(t.Context(), w.url+"/graphql", &websocket.DialOptions{
		Subprotocols: []string{"graphql-transport-ws"}, HTTPHeader: http.Header{"Origin": {dashboards}},
	})
	if err != nil {
		t.Fatalf("WebSocket: %v", err)
	}
	_ = conn.CloseNow()
}

// TestNamesThatLeadHere are not the gateway's own, where callers need no credentials.
func TestNamesThatLeadHere(t *testing.T) {
	const named = "http://dashboards.example:8080"
	for _, anonymous := range []bool{true, false} {
		w := newWorld(t, consolesim.Options{}, func(s *settings, _ *consolesim.Server) {
			s.Anonymous, s.AllowedOrigins = anonymous, []string{named}
		})
		for origin, may := range map[string]bool{
			"http://evil.example:8080": !anonymous, "http://evil.example": !anonymous, "http://localhost.evil.example": !anonymous, "http://10.evil": !anonymous, "http://evil.example.": !anonymous,
			named: true, "https://gateway.example": true, "http://localhost:8080": true, "http://app.localhost": true, "http://10.1.2.3:8080": true, "http://[::1]:8080": true, "http://gateway:8080": true,
		} {
			_, host, _ := strings.Cut(origin, "://")
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/graphql", strings.NewReader(`{"query":"{ __typename }"}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Host = host
			req.Header.Set("Origin", origin)
			req.Header.Set("Content-Type", "application/json")
			a, err := w.do(req)
			if err != nil || (a.Status == http.StatusOK) != may || !may && !strings.Contains(string(a.Body), "FORBIDDEN") {
				t.Errorf("anonymous %v, a page of %s is answered with %d %s, %v", anonymous, origin, a.Status, a.Body, err)
			}
			conn, _, err := websocket.Dial(t.Context(), w.url+"/graphql", &websocket.DialOptions{
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

// TestOriginsAreComparedAlike: a page that may send requests may open a WebSocket, and no
// other may do either.
func TestOriginsAreComparedAlike(t *testing.T) {
	allowed := []string{"http://[::1]:3000", "https://ok.example"}
	w := newWorld(t, consolesim.Options{}, func(s *settings, _ *consolesim.Server) { s.AllowedOrigins = allowed })
	for origin, may := range map[string]bool{
		"http://[::1]:3000": true, "https://ok.example": true, "http://1:3000": false, "http://ok.example": false, "https://ok.example:8443": false, "null": false,
	} {
		resp, _ := w.send(http.MethodPost, "/graphql", `{"query":"{ __typename }"}`, with(jsonBody, map[string]string{"Origin": origin}))
		if (resp.StatusCode == http.StatusOK) != may {
			t.Errorf("%s: a request is answered with status %d", origin, resp.StatusCode)
		}
		conn, _, err := websocket.Dial(t.Context(), w.url+"/graphql", &websocket.DialOptions{
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
	for _, origin := range []string{"*", "dashboards.example", "https://", "https://a.example/", "https://a.example/x", "ftp://a.example", "https://u@a.example", "https://*.example", "https://A.example", "https://a.example:443", "http://a.example:80", "https://a.example:"} {
		s := &settings{listeners: listeners{AllowedOrigins: []string{origin}}}
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "--allowed-origins") {
			t.Errorf("%s: %v", origin, err)
		}
	}
}
