package e2e

import (
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
)

// CacheForAnHour gives every kind a lifetime of an hour, so that only invalidations end
// entries.
func CacheForAnHour(s *gateway.Settings, _ *consolesim.Server) {
	s.Cache = "on"
	s.CacheLife = gateway.DurationsByKind{"robots": time.Hour, "workflows": time.Hour, "queues": time.Hour}
}
