package e2e

import (
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
)

// Hourly makes a gateway keep everything for an hour, so that only what ends answers early
// lets it answer what is new.
func Hourly(s *gateway.Settings, _ *consolesim.Server) {
	s.Cache = "on"
	s.CacheLife = gateway.DurationsByKind{"robots": time.Hour, "workflows": time.Hour, "queues": time.Hour}
}
