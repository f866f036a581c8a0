// Command bench measures a gateway as it is run: the simulated console, Redis and the
// gateway as processes of their own, under a load generator (wrk), beside a bare
// net/http handler that writes the same bytes. docs/measurements.md explains the table.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	runs    int
	measure time.Duration
	out     string
	only    *regexp.Regexp
	profile string
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == ceilingCommand {
		fatal(serveCeiling(os.Args[2:]))
		return
	}
	var o options
	flag.IntVar(&o.runs, "runs", 5, "measured runs of each row, of which the table shows the medians")
	flag.DurationVar(&o.measure, "measure", 2*time.Second, "length of a measured run")
	flag.StringVar(&o.out, "out", "bench.txt", "file for the runs in the format of Go benchmarks, for benchstat")
	flag.StringVar(&o.profile, "profile", "", "directory for a CPU profile of the gateway in each row's first run")
	only := flag.String("only", "", "measure only the rows whose names match, such as mode=mixed/op=join/conns=16/latency=20ms")
	flag.Parse()
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		fatal(fmt.Errorf("-only: %w", err))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	fatal(run(ctx, o))
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// The operations that are measured.
const (
	listOperation = "{ workflows(first: 50) { nodes { id name priority lastTriggeredAt } } }"
	joinOperation = "{ workflows(first: 50) { nodes { id name priority lastTriggeredAt package { id name lastVersion } queue { id name } robots { id name status } } } }"
)

func run(ctx context.Context, o options) (err error) {
	b := &bench{options: o}
	defer func() { b.stopAll() }()
	if b.dir, err = os.MkdirTemp("", "consoleql-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err := b.build(ctx); err != nil {
		return err
	}
	for _, latency := range []time.Duration{0, 20 * time.Millisecond} {
		if err := b.measureAt(ctx, latency); err != nil {
			return err
		}
	}
	return b.report(os.Stdout)
}

// bench is one call of the command.
type bench struct {
	options
	dir       string
	gateway   string // the binary
	processes []*process
	rows      []row
}

// scenario is a row of the table.
type scenario struct {
	mode        string // ceiling, cold, warm, mixed
	operation   string // list, join
	connections int
	latency     time.Duration
}

func (s scenario) String() string {
	return fmt.Sprintf("mode=%s/op=%s/conns=%d/latency=%v", s.mode, s.operation, s.connections, s.latency)
}

// row is a scenario and what its runs have measured.
type row struct {
	scenario
	runs      []figures
	predicted prediction // of mixed
}

// measureAt measures all scenarios in front of a console of the given latency.
func (b *bench) measureAt(ctx context.Context, latency time.Duration) error {
	defer b.stopAll()
	console, err := b.startConsole(ctx, latency)
	if err != nil {
		return err
	}
	redis, err := b.startRedis(ctx)
	if err != nil {
		return err
	}
	for _, mode := range []string{"cold", "warm"} {
		gateway, err := b.startGateway(ctx, console, redis, mode == "warm")
		if err != nil {
			return err
		}
		for _, op := range []struct{ name, text string }{{"list", listOperation}, {"join", joinOperation}} {
			bytes, err := gateway.ask(ctx, op.text)
			if err != nil {
				return err
			}
			for _, connections := range []int{16, 64} {
				if latency == 0 && mode == "warm" {
					if err := b.measureCeiling(ctx, op.name, connections, bytes); err != nil {
						return err
					}
				}
				s := scenario{mode, op.name, connections, latency}
				if err := b.repeat(ctx, s, gateway, same(op.text)); err != nil {
					return err
				}
			}
		}
		if mode == "warm" {
			if err := b.measureMixed(ctx, latency, console, gateway); err != nil {
				return err
			}
		}
		b.stop(gateway.process)
	}
	return nil
}

// measureCeiling measures a handler that does nothing but write the answer.
func (b *bench) measureCeiling(ctx context.Context, operation string, connections int, bytes []byte) error {
	target, err := b.startCeiling(ctx, bytes)
	if err != nil {
		return err
	}
	defer b.stop(target.process)
	return b.repeat(ctx, scenario{"ceiling", operation, connections, 0}, target, same("{}"))
}

// measureMixed measures many principals who read the join at a known rate, and change
// something now and then.
func (b *bench) measureMixed(ctx context.Context, latency time.Duration, console *console, gateway *target) error {
	tokens, err := console.tokens(ctx, principals)
	if err != nil {
		return err
	}
	for _, connections := range []int{16, 64} {
		pause := time.Duration(float64(connections) / mixedRate * float64(time.Second))
		script := mixed(joinOperation, fmt.Sprintf(mutation, console.workflow), tokens, pause)
		if err := b.repeat(ctx, scenario{"mixed", "join", connections, latency}, gateway, script); err != nil {
			return err
		}
	}
	return nil
}

// repeat warms a scenario up, and measures it as often as wanted.
func (b *bench) repeat(ctx context.Context, s scenario, t *target, script string) error {
	if !b.only.MatchString(s.String()) {
		return nil
	}
	warmUp, measure := b.measure/2, b.measure
	if s.mode == "mixed" {
		warmUp, measure = 3*b.measure, 5*b.measure // the lifetimes have to come into their rhythm
	}
	if _, err := b.load(ctx, t, s.connections, warmUp, script); err != nil {
		return err
	}
	r := row{scenario: s}
	for i := range b.runs {
		if i == 0 {
			defer b.profiled(ctx, s, t, measure)()
		}
		f, err := b.load(ctx, t, s.connections, measure, script)
		if err != nil {
			return fmt.Errorf("%v: %w", s, err)
		}
		r.runs = append(r.runs, f)
		fmt.Fprintf(os.Stderr, "%v: run %d of %d: %.0f requests/s, %.3f ms CPU\n", s, i+1, b.runs, f.perSecond, f.cpu)
	}
	if s.mode == "mixed" {
		r.predicted = predict(r.median(func(f figures) float64 { return f.perSecond }))
	}
	b.rows = append(b.rows, r)
	return nil
}

// profiled takes a profile of the target in the background, if one is wanted; the
// function that it returns waits for it.
func (b *bench) profiled(ctx context.Context, s scenario, t *target, d time.Duration) (wait func()) {
	if b.profile == "" || t.metrics == "" {
		return func() {}
	}
	var task sync.WaitGroup
	task.Go(func() {
		url := strings.TrimSuffix(t.metrics, "/metrics") + fmt.Sprintf("/debug/pprof/profile?seconds=%d", int(d.Seconds()))
		path := filepath.Join(b.profile, strings.ReplaceAll(s.String(), "/", ",")+".pprof")
		if err := save(ctx, url, path); err != nil {
			fmt.Fprintln(os.Stderr, "bench: profile:", err)
		}
	})
	return task.Wait
}

// save writes what an address answers to a file.
func save(ctx context.Context, url, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	text, err := fetch(req)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// median is the middle one of a figure of all runs.
func (r row) median(figure func(figures) float64) float64 {
	all := make([]float64, len(r.runs))
	for i, f := range r.runs {
		all[i] = figure(f)
	}
	slices.Sort(all)
	if len(all) == 0 {
		return 0
	}
	if mid := len(all) / 2; len(all)%2 == 0 {
		return (all[mid-1] + all[mid]) / 2
	}
	return all[len(all)/2]
}

// report prints the table, and writes the runs for benchstat.
func (b *bench) report(w io.Writer) error {
	f, err := os.Create(b.out)
	if err != nil {
		return err
	}
	if err := writeRuns(f, b.rows); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return writeTable(w, b.rows)
}
