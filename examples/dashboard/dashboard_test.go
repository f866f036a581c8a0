package dashboard_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/examples/dashboard"
)

// maxBytes bounds all files of the dashboard together, as they are sent.
const maxBytes = 100_000

func TestFilesAreSmall(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir("dist")
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, f := range files {
		content, err := os.ReadFile("dist/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(f.Name(), ".gz") && f.Name() != "index.html" {
			t.Errorf("%s is not compressed", f.Name())
		}
		total += len(content)
	}
	if total > maxBytes || total < 50_000 {
		t.Errorf("the dashboard has %d bytes; at most %d are allowed", total, maxBytes)
	}
}

func get(t *testing.T, path string) *http.Response {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	request.Header.Set("Accept-Encoding", "gzip")
	recorder := httptest.NewRecorder()
	dashboard.Handler().ServeHTTP(recorder, request)
	return recorder.Result()
}

// TestPageAndItsFilesAreServed verifies that the page refers to served files by relative paths, under the policy of GraphiQL.
func TestPageAndItsFilesAreServed(t *testing.T) {
	t.Parallel()
	response := get(t, "/")
	reader, err := gzip.NewReader(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	files := regexp.MustCompile(`(?:href|src)="\./([^"]+)"`).FindAllSubmatch(page, -1)
	if len(files) != 4 || strings.Contains(string(page), `="/`) || strings.Contains(string(page), "://") {
		t.Errorf("the page refers to %q:\n%s", files, page)
	}
	const policy = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	for _, file := range append(files, [][]byte{nil, nil}) {
		response := get(t, "/"+string(file[1]))
		if response.StatusCode != http.StatusOK || response.Header.Get("Content-Security-Policy") != policy {
			t.Errorf("%s: %d, %v", file[1], response.StatusCode, response.Header)
		}
	}
	for _, path := range []string{"/index.html", "/none.js", "/a/b"} {
		if status := get(t, path).StatusCode; status != http.StatusNotFound {
			t.Errorf("%s: status %d", path, status)
		}
	}
}
