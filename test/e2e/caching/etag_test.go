package caching

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestPackageETag verifies that an update sends the package's ETag.
func TestPackageETag(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		dialect consolesim.Dialect
		sent    bool
	}{"captured": {consolesim.Dialect{}, true}, "document": {consolesim.Dialect{NoExtraFields: true}, false}} {
		t.Run(name, func(t *testing.T) {
			w := e2e.NewWorld(t, consolesim.Options{Dialect: tt.dialect})
			id := w.Sim.Data().PackageIDs(w.Sim.Data().MainDepartmentID())[0]
			var got struct{ Package struct{ Etag *string } }
			w.Query(`{ package(id: "`+id+`") { etag } }`, &got)
			if (got.Package.Etag != nil) != tt.sent {
				t.Fatalf("etag %v", got.Package.Etag)
			}
			if tt.sent {
				a := w.TryMutation("updatePackage", map[string]any{"id": id, "etag": *got.Package.Etag, "tags": []string{"a"}}, "package { etag tags }")
				if len(a.Errors) > 0 || strings.Contains(string(a.Data), *got.Package.Etag) {
					t.Errorf("%s", a.Body)
				}
				a = w.TryMutation("updatePackage", map[string]any{"id": id, "etag": *got.Package.Etag, "tags": []string{"b"}}, "package { tags }")
				w.WantOutcome(a, "CONFLICT", "REFUSED")
			}
			if a := w.TryMutation("updatePackage", map[string]any{"id": id, "tags": []string{"c"}}, "package { tags }"); len(a.Errors) > 0 {
				t.Errorf("without an ETag: %s", a.Body)
			}
		})
	}
}

// TestPackageWithoutETag tests consoles without ETags on packages: they accept updates without
// one and refuse that of a version.
func TestPackageWithoutETag(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		versions bool // versions have ETags
		status   int  // status that refuses an ETag
		updates  int
	}{
		"none on versions": {false, http.StatusConflict, 1},
		"409":              {true, http.StatusConflict, 2},
		"412":              {true, http.StatusPreconditionFailed, 2},
	} {
		t.Run(name, func(t *testing.T) {
			var sim *consolesim.Server
			w := e2e.NewWorld(t, consolesim.Options{}, e2e.Proxy(t, func(r *http.Request) {
				if r.Method == http.MethodPatch {
					nameETag(t, sim, r)
				}
			}, func(r *http.Request, body string) string {
				if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/packages/") {
					return withoutETags(t, body, tt.versions)
				}
				return body
			}), func(_ *gateway.Settings, s *consolesim.Server) { sim = s })
			defer w.Sim.Fail(func(r *http.Request) bool {
				return r.Method == http.MethodPatch && r.Header.Get("X-Named") == "one"
			}, consolesim.Fault{Status: tt.status})()
			id := w.Sim.Data().PackageIDs(w.Sim.Data().MainDepartmentID())[0]
			a := w.TryMutation("updatePackage", map[string]any{"id": id, "tags": []string{"changed"}}, "package { tags }")
			if n := w.Calls()["PATCH /openapi/packages/{packageId}"]; len(a.Errors) > 0 || n != tt.updates {
				t.Errorf("%d updates: %s", n, a.Body)
			}
			w.Sim.ResetCounts()
			a = w.TryMutation("updatePackage", map[string]any{"id": id, "etag": "mine", "tags": []string{"again"}}, "package { tags }")
			w.WantOutcome(a, "CONFLICT", "REFUSED")
			if n := w.Calls()["PATCH /openapi/packages/{packageId}"]; n != 1 {
				t.Errorf("%d updates with the caller's own ETag", n)
			}
		})
	}
}

// nameETag marks an update that sends an ETag, and replaces the ETag by the simulator's.
func nameETag(t *testing.T, sim *consolesim.Server, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	update := e2e.Decode[map[string]any](t, body)
	if _, named := update["eTag"]; named {
		r.Header.Set("X-Named", "one")
	} else {
		held, _ := sim.Data().Package(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
		update["eTag"] = held.ETag
		body = e2e.Encode(t, update)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
}

// withoutETags removes a package's ETag from an answer, and those of its versions unless
// versions have some.
func withoutETags(t *testing.T, body string, versions bool) string {
	p := e2e.Decode[map[string]any](t, []byte(body))
	delete(p, "eTag")
	if all, ok := p["versions"].([]any); ok && !versions {
		for _, v := range all {
			delete(v.(map[string]any), "eTag")
		}
	}
	changed, err := json.Marshal(p)
	if err != nil {
		t.Error(err)
	}
	return string(changed)
}
