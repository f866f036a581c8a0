package e2e

import (
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
)

// WithoutAnonymous refuses callers without credentials.
func WithoutAnonymous(s *gateway.Settings, _ *consolesim.Server) { s.Anonymous = false }

// WithCache enables the caches, with lifetimes that do not end during a test.
func WithCache(s *gateway.Settings, _ *consolesim.Server) {
	s.Cache = "on"
	s.CacheLife = gateway.DurationsByKind{
		"companies": time.Hour, "tree": time.Hour, "self": time.Hour, "packages": time.Hour,
		"queues": time.Hour, "robots": time.Hour, "workflows": time.Hour, "layouts": time.Hour,
	}
}

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

// WithoutDefaultScope removes the configured scope.
func WithoutDefaultScope(s *gateway.Settings, _ *consolesim.Server) {
	s.CompanyID, s.DepartmentID = "", ""
}

// WithoutLimits lifts the limits on operations.
func WithoutLimits(s *gateway.Settings, _ *consolesim.Server) {
	s.MaxAnswerBytes, s.MaxAnswerValues, s.MaxConsoleCalls = 1<<30, 1<<30, 1<<30
}

// MaxConsoleCalls limits the console calls of an operation.
func MaxConsoleCalls(n int) func(*gateway.Settings, *consolesim.Server) {
	return func(s *gateway.Settings, _ *consolesim.Server) { s.MaxConsoleCalls = n }
}

// VerifyTokens enables the verification of callers' tokens.
func VerifyTokens(s *gateway.Settings, _ *consolesim.Server) { s.VerifyTokens = "on" }
