package gateway

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/schema"
	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/audit"
	"github.com/consoleql/consoleql/internal/logqueue"
	"github.com/consoleql/consoleql/internal/principal"
)

// The queue of the access log. A line waits for others, so that a busy gateway writes many at once.
const (
	accessLines = 8192
	accessDelay = 5 * time.Millisecond
)

// openAccessLog opens the access log; nil if it is off.
func (g *Gateway) openAccessLog() *accesslog.Log {
	s := g.settings
	if s.Stream == nil || s.AccessLog != "on" && s.AccessLog != "slow" {
		return nil
	}
	g.accessLines = logqueue.New(s.Stream, logqueue.Options{Lines: accessLines, Delay: accessDelay, Lost: g.metrics.AccessLinesLost})
	l := &accesslog.Log{Handler: s.Stream.Handler(g.accessLines, slog.LevelInfo), Name: g.nameInLogs}
	if s.AccessLog == "slow" {
		l.Slow = max(s.SlowOperation, 1) // without a bound, each request is slow
	}
	return l
}

// openAuditLog opens the audit log; nil if it is off. It counts the lines that the log loses, too.
func (g *Gateway) openAuditLog() error {
	s := g.settings
	if s.Stream != nil {
		g.metrics.Log(s.Stream)
	}
	var sink io.Writer
	var err error
	switch s.AuditLog {
	case "off":
		return nil
	case "log":
		if s.Stream == nil {
			return nil
		}
		sink = s.Stream
	default:
		if g.auditFile, err = audit.OpenFile(s.AuditLog); err != nil {
			return fmt.Errorf("--audit-log: %w", err)
		}
		sink = g.auditFile
	}
	var annotated *ast.Schema
	if annotated, err = schema.Annotated(); err != nil {
		return err
	}
	g.auditLines = logqueue.New(sink, logqueue.Options{
		Lines: auditLines, Wait: audit.WriteTimeout, Lost: g.metrics.AuditLinesLost,
		Failed: func(err error, lost int) {
			g.log.Error("lines of the audit log cannot be written", "error", err, "lost", lost)
		},
		Recovered: func(lost int) { g.log.Info("lines of the audit log can be written again", "lost", lost) },
	})
	g.audit = audit.New(audit.Options{
		Sink: g.auditLines, Inputs: audit.InputsOf(annotated), Hash: func(text string) string { return g.Tokens.NameInLogs(text) },
	})
	return nil
}

// auditLines bounds the lines of the audit log that are not written yet.
const auditLines = 1024

// onHangup passes signals on until ctx is done, after it has opened the file of the audit log again. Its goroutine
// belongs to running.
func (g *Gateway) onHangup(ctx context.Context, running *sync.WaitGroup) <-chan os.Signal {
	if g.auditFile == nil || g.Hangups == nil {
		return g.Hangups
	}
	next := make(chan os.Signal)
	running.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case signal := <-g.Hangups:
				if err := g.auditFile.Reopen(); err != nil {
					g.log.Error("the file of the audit log cannot be opened again, and the old one stays in use", "error", err)
				} else {
					g.log.Info("the file of the audit log is opened again")
				}
				select {
				case next <- signal:
				case <-ctx.Done():
				}
			}
		}
	})
	return next
}

// proxies returns the networks whose X-Forwarded-For is trusted.
func (l Logging) proxies() (accesslog.Proxies, error) {
	all, err := accesslog.ParseProxies(l.TrustedProxies)
	return all, withFlag("--trusted-proxies:", err)
}

// nameInLogs returns the name of a principal in logs. It is the name of an API key or service account, the id of a
// verified user, or a keyed hash.
func (g *Gateway) nameInLogs(p principal.Principal) string {
	switch {
	case p.Key() != "":
		return p.Key()
	case p.Credential() == principal.Service:
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
	g.audit.Close()
	for _, lines := range []*logqueue.Queue{g.auditLines, g.accessLines} {
		if lines != nil {
			_ = lines.Close(ctx) // a log that does not take its lines cannot tell
		}
	}
	if g.auditFile != nil {
		_ = g.auditFile.Close() // its lines are written
	}
}

// closeLogsTimeout bounds the wait for a log that is not read.
const closeLogsTimeout = time.Second
