package health_test

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/health"
)

// TestComponent plays successes (.), failures (x), and seconds (1-9) and compares the lines of the log: W for a
// warning, I for an information.
func TestComponent(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		calls string
		lines string
		works bool
	}{
		"works":                              {"....", "", true},
		"fails from the start":               {"x", "W", false},
		"one failure among calls":            {"..x..x.x..", "", true},
		"two in a row":                       {"..xx.xx.", "", true},
		"three in a row":                     {"..xxx", "W", false},
		"one after a pause":                  {".5x", "W", false},
		"one warning per outage":             {"xxxxxxxx9xxx9xxx", "W", false},
		"back after a quiet time":            {"xxx5.", "WI", true},
		"back soon, and quiet afterwards":    {"xxx1.5", "WI", true},
		"back soon, then busy":               {"xxx" + strings.Repeat(".", 20), "WI", true},
		"back for a moment":                  {"xxx1.x5", "W", false},
		"half of the calls fail":             {strings.Repeat("xxx.", 20), "W", false},
		"most calls fail for a while":        {strings.Repeat("xxx.1", 20), "W", false},
		"a second outage":                    {"xxx5.....xxx", "WIW", false},
		"a success late in the quiet time":   {"xxx4.1", "WI", true},
		"silent for a while":                 {"x" + strings.Repeat("9", 6), "W", false},
		"silent":                             {"x" + strings.Repeat("9", 7), "WI", true},
		"calls that fail on":                 {strings.Repeat("x9999", 6), "W", false},
		"fails again after the silence":      {"x" + strings.Repeat("9", 9) + "x", "WIW", false},
		"failures after the first successes": {"xxx1..x1..x1..x5", "W", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				component := health.NewComponent("console", health.FailuresInRow, health.DefaultReset, slog.New(slog.NewTextHandler(&out, nil)))
				defer component.Close()
				for _, c := range tt.calls {
					switch c {
					case '.':
						component.Succeeded()
					case 'x':
						component.Failed("connection refused")
					default:
						time.Sleep(time.Duration(c-'0') * time.Second)
						synctest.Wait()
					}
				}
				var lines string
				for line := range strings.Lines(out.String()) {
					_, level, _ := strings.Cut(line, "level=")
					lines += level[:1]
				}
				if works, _ := component.State(); lines != tt.lines || works != tt.works {
					t.Errorf("works: %v, want %v; said\n%s", works, tt.works, &out)
				}
			})
		})
	}
}

func TestLogLinesHaveCauseDurationAndFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		component := health.NewComponent("Redis", 1, 0, slog.New(slog.NewTextHandler(&out, nil)))
		component.Failed("connection refused")
		component.Failed("")
		if works, cause := component.State(); works || cause != "connection refused" {
			t.Errorf("works: %v, cause %q", works, cause)
		}
		time.Sleep(7 * time.Second)
		component.Succeeded()
		for _, want := range []string{`level=WARN msg="a part of the service is failing" part=Redis cause="connection refused"`, `level=INFO msg="a part of the service works again" part=Redis duration_ms=7000 failures=2`} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %s in\n%s", want, &out)
			}
		}
		component.Close()
		component.Failed("x")
		if strings.Count(out.String(), "\n") != 2 {
			t.Errorf("it logs after Close:\n%s", &out)
		}
	})
}

// TestBlockedLog verifies that a component answers and counts while a line about it is written.
func TestBlockedLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		read, written := io.Pipe()
		component := health.NewComponent("console", 1, health.DefaultReset, slog.New(slog.NewTextHandler(written, nil)))
		go component.Failed("connection refused")
		synctest.Wait()
		if works, _ := component.State(); works {
			t.Error("it works")
		}
		go func() { _, _ = io.Copy(io.Discard, read) }()
		component.Close()
		if err := written.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestNilComponent(t *testing.T) {
	t.Parallel()
	var component *health.Component
	component.Failed("x")
	component.Succeeded()
	component.Close()
	if works, cause := component.State(); !works || cause != "" {
		t.Errorf("works: %v, cause %q", works, cause)
	}
}
