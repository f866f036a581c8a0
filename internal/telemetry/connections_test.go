package telemetry_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/telemetry"
)

// TestFailedConnections verifies the levels: a warning for the first failure of each kind in an outage.
func TestFailedConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := telemetry.NewConnectionLog(slog.New(slog.NewTextHandler(&out, nil)), "storage")
		for range 3 {
			l.Failed("h:1", syscall.ECONNREFUSED)
			l.Failed("h:1", errors.New("tls: handshake failure"))
			time.Sleep(40 * time.Second)
		}
		l.Connected("h:1")
		l.Close()
		l.Failed("h:1", syscall.ECONNREFUSED)
		var levels string
		for line := range strings.Lines(out.String()) {
			_, level, _ := strings.Cut(line, "level=")
			levels += level[:1]
		}
		if levels != "WWIII" || !strings.Contains(out.String(), `works again" peer=storage host=h:1 failures=6`) {
			t.Errorf("levels %s\n%s", levels, &out)
		}
	})
}

// TestBlockedConnectionLog verifies that failures are counted while a line is written.
func TestBlockedConnectionLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		read, written := io.Pipe()
		l := telemetry.NewConnectionLog(slog.New(slog.NewTextHandler(written, nil)), "console")
		go l.Failed("h:1", syscall.ECONNREFUSED)
		synctest.Wait()
		l.Failed("h:1", syscall.ECONNREFUSED) // counted, and not logged again
		go func() { _, _ = io.Copy(io.Discard, read) }()
		l.Close()
		if err := written.Close(); err != nil {
			t.Error(err)
		}
	})
}
