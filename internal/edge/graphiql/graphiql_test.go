package graphiql_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/edge/graphiql"
)

// get calls the handler directly, since a client would decompress the body.
func get(t *testing.T, h http.Handler, method, path string, header ...string) *http.Response {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, request)
	return recorder.Result()
}

func body(t *testing.T, response *http.Response) string {
	t.Helper()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// assetOf returns the address of an asset in the page.
func assetOf(t *testing.T, page, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(`"graphiql/` + pattern).FindString(page)
	if found == "" {
		t.Fatalf("the page names no asset like %s:\n%s", pattern, page)
	}
	return "/" + found[1:]
}

func TestPageContainsOptions(t *testing.T) {
	t.Parallel()
	hostile := `</script><script>alert(1)</script><!-- & ` + "\u2028"
	want := graphiql.Options{
		Endpoint: "/api/graphql",
		Examples: []graphiql.Example{{Title: "<b>one</b>", Query: "query One { viewer { name } } # " + hostile, Variables: `{"a":"` + "\u4e2d" + `"}`}},
		Headers:  `{"X-Api-Key": ""}`,
		Notice:   hostile,
	}
	page := body(t, get(t, graphiql.Handler(want), http.MethodGet, "/"))

	element := regexp.MustCompile(`(?s)<script type="application/json" id="options">(.*?)</script>`).FindStringSubmatch(page)
	if element == nil {
		t.Fatalf("the page has no options element:\n%s", page)
	}
	var got graphiql.Options
	if err := json.Unmarshal([]byte(element[1]), &got); err != nil {
		t.Fatalf("the options are no JSON: %v", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("options in the page (-want +got):\n%s", diff)
	}
	if strings.Contains(page, "alert(1)</script>") || strings.Contains(page, "<!--") {
		t.Errorf("an option escaped from its element:\n%s", page)
	}
}

func TestPageWithoutOptions(t *testing.T) {
	t.Parallel()
	page := body(t, get(t, graphiql.Handler(graphiql.Options{}), http.MethodGet, "/"))
	if want := `<script type="application/json" id="options">{"endpoint":"graphql"}</script>`; !strings.Contains(page, want) {
		t.Errorf("page misses %s:\n%s", want, page)
	}
}

func TestRouting(t *testing.T) {
	t.Parallel()
	handler := graphiql.Handler(graphiql.Options{})
	page := body(t, get(t, handler, http.MethodGet, "/"))
	for name, tc := range map[string]struct {
		method, path string
		status       int
		contentType  string
		cache        string
	}{
		"page":               {"GET", "/", 200, "text/html; charset=utf-8", "no-cache"},
		"page with query":    {"GET", "/?query=%7Bviewer%7D", 200, "text/html; charset=utf-8", "no-cache"},
		"script":             {"GET", assetOf(t, page, `main-\w+\.js`), 200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		"style":              {"GET", assetOf(t, page, `main-\w+\.css`), 200, "text/css; charset=utf-8", "public, max-age=31536000, immutable"},
		"graphql worker":     {"GET", assetOf(t, page, `graphql\.worker-\w+\.js`), 200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		"icon":               {"GET", assetOf(t, page, `icon-\w+\.svg`), 200, "image/svg+xml; charset=utf-8", "public, max-age=31536000, immutable"},
		"licences":           {"GET", assetOf(t, page, `licenses-\w+\.txt`), 200, "text/plain; charset=utf-8", "public, max-age=31536000, immutable"},
		"stored name":        {"GET", assetOf(t, page, `main-\w+\.js`) + ".gz", 404, "text/plain; charset=utf-8", ""},
		"built page":         {"GET", "/graphiql/index.html", 404, "text/plain; charset=utf-8", ""},
		"unknown asset":      {"GET", "/graphiql/none.js", 404, "text/plain; charset=utf-8", ""},
		"asset folder":       {"GET", "/graphiql/", 404, "text/plain; charset=utf-8", ""},
		"outside the folder": {"GET", "/graphiql/..%2fgraphiql.go", 404, "text/plain; charset=utf-8", ""},
		"elsewhere":          {"GET", "/other", 404, "text/plain; charset=utf-8", ""},
		"posting to page":    {"POST", "/", 405, "text/plain; charset=utf-8", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response := get(t, handler, tc.method, tc.path)
			type answer struct {
				status             int
				contentType, cache string
			}
			got := answer{response.StatusCode, response.Header.Get("Content-Type"), response.Header.Get("Cache-Control")}
			if want := (answer{tc.status, tc.contentType, tc.cache}); got != want {
				t.Errorf("%s %s = %+v, want %+v", tc.method, tc.path, got, want)
			}
			if got := response.Header.Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'self';") || strings.Contains(got, "unsafe-eval") {
				t.Errorf("Content-Security-Policy = %q", got)
			}
			if got := response.Header.Get("X-Content-Type-Options"); got != "nosniff" {
				t.Errorf("X-Content-Type-Options = %q", got)
			}
		})
	}
}

func TestContentEncoding(t *testing.T) {
	t.Parallel()
	handler := graphiql.Handler(graphiql.Options{})
	page := body(t, get(t, handler, http.MethodGet, "/"))
	for name, tc := range map[string]struct {
		path, accept string
		want         string
	}{
		"asset, no field":           {"", "", ""},
		"asset, gzip":               {"", "gzip, deflate, br", "gzip"},
		"asset, gzip last":          {"", "br;q=1.0, gzip;q=0.2", "gzip"},
		"asset, capitals":           {"", "GZIP", "gzip"},
		"asset, wildcard":           {"", "*", "gzip"},
		"asset, gzip refused":       {"", "*, gzip;q=0", ""},
		"asset, refused in detail":  {"", "gzip; q=0.000, identity", ""},
		"asset, only others":        {"", "br, zstd", ""},
		"asset, unreadable quality": {"", "gzip;q=much", ""},
		"page, gzip":                {"/", "gzip", "gzip"},
		"page, identity":            {"/", "identity", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := tc.path
			if path == "" {
				path = assetOf(t, page, `main-\w+\.css`)
			}
			want := body(t, get(t, handler, http.MethodGet, path))
			response := get(t, handler, http.MethodGet, path, "Accept-Encoding", tc.accept)
			if got := response.Header.Get("Content-Encoding"); got != tc.want {
				t.Fatalf("Content-Encoding = %q, want %q", got, tc.want)
			}
			if got := response.Header.Get("Vary"); got != "Accept-Encoding" {
				t.Errorf("Vary = %q", got)
			}
			got := body(t, response)
			if tc.want == "gzip" {
				reader, err := gzip.NewReader(strings.NewReader(got))
				if err != nil {
					t.Fatal(err)
				}
				var plain bytes.Buffer
				if _, err := io.Copy(&plain, reader); err != nil {
					t.Fatal(err)
				}
				got = plain.String()
			}
			if got != want || got == "" {
				t.Errorf("content differs between encodings (%d and %d bytes)", len(got), len(want))
			}
		})
	}
}

func TestConditionalRequests(t *testing.T) {
	t.Parallel()
	handler := graphiql.Handler(graphiql.Options{Notice: "one"})
	page := body(t, get(t, handler, http.MethodGet, "/"))
	for name, path := range map[string]string{
		"page":            "/",
		"compressed file": assetOf(t, page, `main-\w+\.js`),
		"worker":          assetOf(t, page, `json\.worker-\w+\.js`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plain := get(t, handler, http.MethodGet, path).Header.Get("ETag")
			zipped := get(t, handler, http.MethodGet, path, "Accept-Encoding", "gzip").Header.Get("ETag")
			if plain == "" || zipped == "" || plain == zipped {
				t.Fatalf("entity tags %q and %q, want one for each encoding", plain, zipped)
			}
			for _, encoding := range []struct{ accept, tag, other string }{{"identity", plain, zipped}, {"gzip", zipped, plain}} {
				if got := get(t, handler, http.MethodGet, path, "Accept-Encoding", encoding.accept, "If-None-Match", encoding.tag).StatusCode; got != http.StatusNotModified {
					t.Errorf("%s with its own tag: status %d, want 304", encoding.accept, got)
				}
				if got := get(t, handler, http.MethodGet, path, "Accept-Encoding", encoding.accept, "If-None-Match", encoding.other).StatusCode; got != http.StatusOK {
					t.Errorf("%s with the other's tag: status %d, want 200", encoding.accept, got)
				}
			}
		})
	}

	t.Run("other options, other tag", func(t *testing.T) {
		t.Parallel()
		other := graphiql.Handler(graphiql.Options{Notice: "two"})
		if a, b := get(t, handler, http.MethodGet, "/").Header.Get("ETag"), get(t, other, http.MethodGet, "/").Header.Get("ETag"); a == b {
			t.Errorf("both pages have the tag %s", a)
		}
	})
}

func TestHeadAndRanges(t *testing.T) {
	t.Parallel()
	handler := graphiql.Handler(graphiql.Options{})
	asset := assetOf(t, body(t, get(t, handler, http.MethodGet, "/")), `main-\w+\.js`)

	t.Run("HEAD has no body", func(t *testing.T) {
		t.Parallel()
		response := get(t, handler, http.MethodHead, asset, "Accept-Encoding", "gzip")
		if got := body(t, response); response.StatusCode != http.StatusOK || got != "" {
			t.Errorf("status %d, %d bytes", response.StatusCode, len(got))
		}
	})
	t.Run("a compressed file is sent whole", func(t *testing.T) {
		t.Parallel()
		response := get(t, handler, http.MethodGet, asset, "Accept-Encoding", "gzip", "Range", "bytes=0-9")
		if got := len(body(t, response)); response.StatusCode != http.StatusOK || got < 1000 {
			t.Errorf("status %d, %d bytes, want all of it", response.StatusCode, got)
		}
	})
}

// TestReferencedFilesAreServed verifies that the page and its assets are served, and load
// nothing from elsewhere.
func TestReferencedFilesAreServed(t *testing.T) {
	t.Parallel()
	handler := graphiql.Handler(graphiql.Options{})
	reference := regexp.MustCompile(`/([\w.-]+-[0-9A-Za-z]{8,10}\.(?:js|css|svg|txt|ttf|woff2?))["')]`)
	seen := map[string]bool{"": true}
	queue := []string{""}
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		path := "/"
		if name != "" {
			path = graphiql.AssetPrefix + name
		}
		response := get(t, handler, http.MethodGet, path)
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", path, response.StatusCode)
		}
		for _, found := range reference.FindAllStringSubmatch(body(t, response), -1) {
			if !seen[found[1]] {
				seen[found[1]] = true
				queue = append(queue, found[1])
			}
		}
	}
	for _, pattern := range []string{`^main-.*\.js$`, `^main-.*\.css$`, `^editor\.worker-`, `^json\.worker-`, `^graphql\.worker-`, `^chunk-`, `^codicon-.*\.ttf$`, `^Roboto-.*\.woff2$`, `^FiraCode-.*\.woff$`} {
		matches := 0
		for name := range seen {
			if regexp.MustCompile(pattern).MatchString(name) {
				matches++
			}
		}
		if matches == 0 {
			t.Errorf("nothing like %s is referred to", pattern)
		}
	}
}
