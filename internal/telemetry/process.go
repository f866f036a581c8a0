package telemetry

import (
	"github.com/go-logr/logr"
	"github.com/redis/go-redis/v9"
	redislogging "github.com/redis/go-redis/v9/logging"
	"go.opentelemetry.io/otel"
)

// SilenceLibraries turns off process-wide loggers. Only main and TestMain call it, because a gateway must not change
// process-wide state. go-redis repeats what a gateway logs for its own client. OpenTelemetry repeats invalid values
// of OTEL_EXPORTER_OTLP_HEADERS.
func SilenceLibraries() {
	redis.SetLogger(&redislogging.VoidLogger{})
	otel.SetLogger(logr.Discard())
}
