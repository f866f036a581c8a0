package e2e

import (
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
)

// WithoutAnonymous refuses callers without credentials.
func WithoutAnonymous(s *gateway.Settings, _ *consolesim.Server) { s.Anonymous = false }
