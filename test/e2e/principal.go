package e2e

import (
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
)

// Strict refuses callers without credentials.
func Strict(s *gateway.Settings, _ *consolesim.Server) { s.Anonymous = false }
