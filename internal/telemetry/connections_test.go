package telemetry_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
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

// TestCausesHoldNoURL verifies that no cause repeats the URL of a request, of a proxy or of a redirect.
func TestCausesHoldNoURL(t *testing.T) {
	t.Parallel()
	_, parsed := url.Parse(strings.Join([]string{"http://user:CANARY@host", "CANARY/"}, ":"))
	for _, err := range []error{
		&url.Error{Op: "Get", URL: "http://host/?key=CANARY", Err: syscall.ECONNREFUSED},
		&url.Error{Op: "Get", URL: "http://host/?key=CANARY", Err: errors.New("connection refused")},
		fmt.Errorf("keys: %w", &url.Error{Op: "Get", URL: "http://host/?key=CANARY", Err: errors.New("connection refused")}),
		&url.Error{Op: "Get", URL: "http://host/", Err: errors.New(`failed to parse Location header "http://host/%zz?CANARY": invalid`)},
		&url.Error{Op: "Get", URL: "http://host/", Err: errors.New(`invalid proxy address "http://user:CANARY@%zz": invalid`)},
		&url.Error{Op: "Get", URL: "http://host/", Err: parsed},
		parsed,
	} {
		if cause := telemetry.ConnectionCause(err); cause == "" || strings.Contains(cause, "CANARY") {
			t.Errorf("%v: %q", err, cause)
		}
	}
}
