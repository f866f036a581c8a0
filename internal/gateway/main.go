package gateway

import (
	"io"
	"log/slog"

	"github.com/consoleql/consoleql/internal/telemetry"
)

func (l Logging) Logger(w io.Writer) (*slog.Logger, error) {
	return telemetry.NewLogger(w, l.LogLevel, l.LogFormat)
}
