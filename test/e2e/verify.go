package e2e

import (
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
)

// Verifying verifies callers' tokens.
func Verifying(s *gateway.Settings, _ *consolesim.Server) { s.VerifyTokens = "on" }
