// Command bench measures the cost of the gateway's operations, and prints a table. See
// docs/performance.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/consoleql/consoleql/internal/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type commands struct {
	Table   tableCommand   `cmd:"" default:"withargs" help:"Measure, and print a table (the default)."`
	Ceiling ceilingCommand `cmd:"" hidden:"" help:"Serve a finished answer from a bare handler, to be measured beside the gateway."`
}

type ceilingCommand struct {
	File string `arg:"" help:"The answer."`
}

type tableCommand struct {
	Runs       int             `default:"5" help:"Runs of each scenario; the table shows medians."`
	Mode       []string        `default:"ceiling,cold,warm,mixed" enum:"ceiling,cold,warm,mixed" help:"Which scenarios, joined by commas (${enum})."`
	Op         []string        `default:"list,join" enum:"list,join" help:"Which operations (${enum})."`
	Conns      []int           `default:"16,64" help:"Connections of the load generator."`
	Latency    []time.Duration `default:"0s,20ms" help:"Latencies of the console."`
	Warm       time.Duration   `default:"1s" help:"Load before each measurement, in whole seconds."`
	Measure    time.Duration   `default:"2s" help:"Load under measurement, in whole seconds."`
	MixedWarm  time.Duration   `default:"3s" help:"The same before mixed."`
	Mixed      time.Duration   `default:"10s" help:"The same for mixed."`
	Rate       float64         `default:"200" help:"Requests per second that mixed's think time aims at."`
	Every      int             `default:"100" help:"One in so many of mixed's requests mutates."`
	Principals int             `default:"200" help:"Principals of mixed."`
	Out        string          `default:"bench.txt" help:"File for each run in the Go benchmark format; empty: none."`
	Binary     string          `help:"The gateway's binary; empty: build it."`
}

// Validate checks constraints that the flags' types do not express.
func (c *tableCommand) Validate() error {
	if c.Runs < 1 || c.Rate <= 0 || c.Principals < 2 || c.Every < 2 || c.Measure < time.Second || c.Warm < time.Second || c.MixedWarm < time.Second || c.Mixed < time.Second {
		return errors.New("--runs and --rate must be positive, --principals and --every 2 or more, durations of load a second or more")
	}
	for _, n := range c.Conns {
		if n < 1 {
			return errors.New("--conns must be positive")
		}
	}
	return nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c commands
	parser, err := kong.New(&c, kong.Name("bench"), kong.Writers(stdout, stderr))
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if err != nil {
		return err
	}
	if command.Command() == "ceiling <file>" {
		return bench.ServeCeiling(ctx, c.Ceiling.File, stdout)
	}
	return c.Table.run(ctx, stdout, stderr)
}

// run measures round by round, so that a temporary disturbance of the machine affects one run
// of each scenario.
func (c *tableCommand) run(ctx context.Context, stdout, stderr io.Writer) (err error) {
	binary, clean, err := c.binary(ctx, stderr)
	if err != nil {
		return err
	}
	defer clean()
	r, err := bench.NewRunner(ctx, bench.Options{
		Binary: binary, Warm: c.Warm, Measure: c.Measure, MixedWarm: c.MixedWarm, Mixed: c.Mixed,
		Rate: c.Rate, Every: c.Every, Principals: c.Principals,
	}, c.Op, c.Latency)
	if err != nil {
		return err
	}
	defer r.Close()
	lines := io.Discard
	if c.Out != "" {
		file, err := os.Create(c.Out)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }() // each write was checked
		lines = file
	}
	if err := bench.WriteHeader(lines); err != nil {
		return err
	}
	for _, op := range c.Op {
		fmt.Fprintf(stdout, "%s: an answer of %d bytes\n", op, r.AnswerBytes(op))
	}
	scenarios := bench.Scenarios(c.Mode, c.Op, c.Conns, c.Latency)
	results := make([]bench.Result, len(scenarios))
	for round := range c.Runs {
		for i, s := range scenarios {
			fmt.Fprintf(stderr, "run %d of %d: %s\n", round+1, c.Runs, s.Name())
			m, err := r.Run(ctx, s)
			if err != nil {
				return err
			}
			if err := bench.WriteLine(lines, s, m); err != nil {
				return err
			}
			results[i].Scenario = s
			results[i].Runs = append(results[i].Runs, m)
		}
	}
	return bench.WriteTable(stdout, results)
}

// binary returns the gateway's binary. It builds a release unless a path is given.
func (c *tableCommand) binary(ctx context.Context, stderr io.Writer) (path string, clean func(), err error) {
	if c.Binary != "" {
		return c.Binary, func() {}, nil
	}
	dir, err := os.MkdirTemp("", "consoleql-bench-binary-")
	if err != nil {
		return "", nil, err
	}
	clean = func() { _ = os.RemoveAll(dir) } // the system's directory for temporary files
	path = filepath.Join(dir, "consoleql")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "./cmd/server") //nolint:gosec // a path of this function
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	build.Stderr = stderr
	if err := build.Run(); err != nil {
		clean()
		return "", nil, fmt.Errorf("build the gateway: %w", err)
	}
	return path, clean, nil
}
