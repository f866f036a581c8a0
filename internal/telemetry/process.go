package telemetry

import (
	"github.com/go-logr/logr"
	"github.com/redis/go-redis/v9"
	redislogging "github.com/redis/go-redis/v9/logging"
	"go.opentelemetry.io/otel"
)

// SilenceLibraries turns off loggers that belong to the process. It is for main and TestMain: a gateway sets nothing
// that belongs to the process. go-redis repeats what a gateway logs of its own client. OpenTelemetry repeats values of
// OTEL_EXPORTER_OTLP_HEADERS that it cannot read.
func SilenceLibraries() {
	redis.SetLogger(&redislogging.VoidLogger{})
	otel.SetLogger(logr.Discard())
}
