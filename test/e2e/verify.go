package e2e

import (
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
)

// VerifyTokens enables the verification of callers' tokens.
func VerifyTokens(s *gateway.Settings, _ *consolesim.Server) { s.VerifyTokens = "on" }
