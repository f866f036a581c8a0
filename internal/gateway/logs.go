package gateway

import (
	"context"
	"log/slog"
	"time"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/logqueue"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/telemetry"
)

// The queue of the access log. A line waits for others, so that a busy gateway writes many at once.
const (
	accessLines = 8192
	accessDelay = 5 * time.Millisecond
)

// openAccessLog opens the access log; nil if it is off.
func (g *Gateway) openAccessLog(metrics *telemetry.Metrics) *accesslog.Log {
	s := g.settings
	if s.Stream == nil || s.AccessLog != "on" && s.AccessLog != "slow" {
		return nil
	}
	g.accessLines = logqueue.New(s.Stream, logqueue.Options{Lines: accessLines, Delay: accessDelay, Lost: metrics.AccessLinesLost})
	l := &accesslog.Log{Handler: s.Stream.Handler(g.accessLines, slog.LevelInfo), Name: g.nameInLogs}
	if s.AccessLog == "slow" {
		l.Slow = max(s.SlowOperation, 1) // without a bound, each request is slow
	}
	return l
}

// nameInLogs returns the name of a principal in logs: the name of its API key or service account, the id of its verified
// user, or a keyed hash.
func (g *Gateway) nameInLogs(p principal.Principal) string {
	switch {
	case p.Key() != "":
		return p.Key()
	case p.Kind() == principal.Service:
		return p.Account()
	case p.User() != "":
		return p.User()
	case p.Name() == "":
		return ""
	default:
		return g.Tokens.NameInLogs(p.Name())
	}
}

// closeLogs writes the lines that wait. A log that nobody reads loses them.
func (g *Gateway) closeLogs() {
	ctx, cancel := context.WithTimeout(context.Background(), closeLogsTimeout)
	defer cancel()
	if g.accessLines != nil {
		_ = g.accessLines.Close(ctx) // the log, which does not take its lines, cannot tell
	}
}

// closeLogsTimeout bounds the wait for a log that is not read.
const closeLogsTimeout = time.Second
