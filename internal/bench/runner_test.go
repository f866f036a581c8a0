package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/consoleql/consoleql/internal/binarytest"
)

// TestMain lets the test binary act as the ceiling's process.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "ceiling" {
		if err := ServeCeiling(context.Background(), os.Args[2], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// TestRunner runs every mode with real processes. The test itself sends a few requests, so
// that no load generator is needed.
func TestRunner(t *testing.T) {
	ctx := t.Context()
	var release binarytest.Release
	t.Cleanup(release.Remove)
	ops := []string{"list", "join"}
	r, err := NewRunner(ctx, Options{
		Binary: release.Binary(t), Warm: time.Second, Measure: time.Second, MixedWarm: time.Second, Mixed: time.Second, Rate: 100, Every: 10, Principals: 3,
	}, ops, []time.Duration{0})
	if err != nil {
		t.Fatal(err)
	}
	c := r.consoles[0]
	t.Run("data", func(t *testing.T) {
		if got := c.reads["list"]; total(got) != 1 || got["workflows"] != 1 {
			t.Errorf("the list takes the console calls %v, want one for workflows", got)
		}
		for _, kind := range []string{"workflows", "packages", "queues", "robots"} {
			if c.reads["join"][kind] != 1 {
				t.Errorf("the join takes the console calls %v, want one for %s", c.reads["join"], kind)
			}
		}
		if c.write < 1 {
			t.Errorf("the mutation takes %v console calls", c.write)
		}
		if len(c.tokens) != 3 || c.tokens[0] == c.tokens[1] {
			t.Error("there are not three principals")
		}
	})
	const requests = 20
	r.drive = func(ctx context.Context, l load) (summary, error) { return drive(ctx, c, l, requests) }
	for _, s := range Scenarios([]string{modeCeiling, modeCold, modeWarm, modeMixed}, ops, []int{2}, []time.Duration{0}) {
		t.Run(s.Name(), func(t *testing.T) {
			m, err := r.Run(ctx, s)
			if err != nil {
				t.Fatal(err)
			}
			if m.Requests != requests || m.Resident == 0 || m.Peak < m.Resident {
				t.Errorf("measured %+v", m)
			}
			if want := total(c.reads[s.Op]); s.Mode == modeCold && m.Calls != want {
				t.Errorf("%v console calls an operation, want %v", m.Calls, want)
			}
		})
	}
	if _, err := r.Run(ctx, Scenario{modeCold, "list", 1, time.Hour}); err == nil {
		t.Error("a scenario without its console was measured")
	}
	pid := c.process.pid()
	r.Close()
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the console's process is still there: %v", err)
	}
	if _, err := os.Stat(r.dir); !os.IsNotExist(err) {
		t.Errorf("files are left: %v", err)
	}
}

// drive is a load generator of a few sequential requests.
func drive(ctx context.Context, c *console, l load, requests int) (summary, error) {
	begun := time.Now()
	for i := range requests {
		header := c.header()
		header["Authorization"] = "Bearer " + l.script.Tokens[i%len(l.script.Tokens)]
		body := l.script.Body
		if l.script.Mutation != "" && i%10 == 9 {
			body = l.script.Mutation
		}
		if _, _, err := post(ctx, l.url, header, body); err != nil {
			return summary{}, err
		}
	}
	return summary{Requests: requests, Duration: max(1, time.Since(begun).Microseconds())}, nil
}

func TestProcessesAreStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, redisURL, err := startRedis(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if redisURL == "" {
		t.Error("the server has no address")
	}
	cancel()
	<-p.ended
	p.stop() // once more does no harm
	if _, err := start(t.Context(), nil, "/nowhere/to/be/found"); err == nil {
		t.Error("a program that does not exist was started")
	}
	broken, err := start(t.Context(), nil, "false")
	if err != nil {
		t.Fatal(err)
	}
	if err := broken.poll(t.Context(), func() bool { return false }); err == nil {
		t.Error("a program that ended is ready")
	}
}
