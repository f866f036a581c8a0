package e2e

import (
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
)

// WithAndWithoutCache runs a test with and without caches, in parallel with each other and with other tests.
func WithAndWithoutCache(t *testing.T, test func(t *testing.T, caching func(*gateway.Settings, *consolesim.Server))) {
	t.Helper()
	t.Parallel()
	for name, caching := range map[string]func(*gateway.Settings, *consolesim.Server){
		"cache off": func(*gateway.Settings, *consolesim.Server) {},
		"cache on":  WithCache,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, caching)
		})
	}
}
