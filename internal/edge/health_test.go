package edge_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/edge"
)

// TestReadinessFormat verifies which headers Accept ask for JSON.
func TestReadinessFormat(t *testing.T) {
	t.Parallel()
	h := edge.ReadyHandler(func(context.Context) edge.Readiness { return edge.Readiness{Status: edge.OK} }, false, slog.New(slog.DiscardHandler))
	for name, tt := range map[string]struct {
		accept []string
		json   bool
	}{
		"none":           {nil, false},
		"all":            {[]string{"*/*"}, false},
		"JSON":           {[]string{"application/json"}, true},
		"one of them":    {[]string{"text/html, application/json;q=0.5"}, true},
		"a second line":  {[]string{"text/html", "application/json"}, true},
		"another case":   {[]string{"Application/JSON"}, true},
		"not acceptable": {[]string{"text/plain, application/json;q=0"}, false},
		"another type":   {[]string{"application/json-patch"}, false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", http.NoBody)
		r.Header["Accept"] = tt.accept
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := strings.HasPrefix(w.Header().Get("Content-Type"), "application/json"); got != tt.json {
			t.Errorf("%s: JSON %v, want %v", name, got, tt.json)
		}
	}
}
