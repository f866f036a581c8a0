package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Options configure a Runner.
type Options struct {
	Binary     string        // path of the gateway's binary
	Warm       time.Duration // duration of the load before the measurement, in whole seconds
	Measure    time.Duration // duration of the measured load, in whole seconds
	MixedWarm  time.Duration // the same for mixed
	Mixed      time.Duration
	Rate       float64 // target rate of mixed in requests per second, set by the think time
	Every      int     // the share of mutations in mixed: one per so many requests
	Principals int     // of mixed
}

// Runner measures scenarios. It owns the simulated consoles.
type Runner struct {
	opts     Options
	dir      string
	consoles map[time.Duration]*console
	runs     uint64
	drive    func(context.Context, load) (summary, error) // the load generator
}

// NewRunner starts a console for each latency. The caller must call Close.
func NewRunner(ctx context.Context, opts Options, ops []string, latencies []time.Duration) (*Runner, error) {
	dir, err := os.MkdirTemp("", "consoleql-bench-")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	r := &Runner{opts: opts, dir: dir, consoles: map[time.Duration]*console{}}
	r.drive = func(ctx context.Context, l load) (summary, error) { return l.run(ctx, dir) }
	for _, latency := range latencies {
		if err := r.addConsole(ctx, latency, ops); err != nil {
			r.Close()
			return nil, err
		}
	}
	return r, nil
}

func (r *Runner) addConsole(ctx context.Context, latency time.Duration, ops []string) error {
	c, err := startConsole(ctx, r.opts.Binary, latency)
	if err != nil {
		return err
	}
	r.consoles[latency] = c
	if err := c.grant(ctx, r.opts.Principals); err != nil {
		return err
	}
	g, err := startGateway(ctx, r.opts.Binary, c, "off", "")
	if err != nil {
		return err
	}
	defer g.process.stop()
	return c.prepare(ctx, g, ops)
}

// AnswerBytes returns the size of an operation's answer.
func (r *Runner) AnswerBytes(op string) int {
	for _, c := range r.consoles {
		return len(c.answers[op])
	}
	return 0
}

// Close stops the consoles and deletes temporary files.
func (r *Runner) Close() {
	for _, c := range r.consoles {
		c.process.stop()
	}
	_ = os.RemoveAll(r.dir) // the system's directory for temporary files
}

// Run measures a scenario once, with its own Redis and gateway.
func (r *Runner) Run(ctx context.Context, s Scenario) (Measurement, error) {
	m, err := r.run(ctx, s)
	if err != nil {
		return m, fmt.Errorf("%s: %w", s.Name(), err)
	}
	return m, nil
}

func (r *Runner) run(ctx context.Context, s Scenario) (Measurement, error) {
	r.runs++
	c := r.consoles[s.Latency]
	if c == nil {
		return Measurement{}, fmt.Errorf("there is no console with a latency of %v", s.Latency)
	}
	body, err := requestBody(query(s.Op), nil)
	if err != nil {
		return Measurement{}, err
	}
	l := load{conns: s.Conns, script: script{Seed: r.runs, Header: c.header(), Body: body, Tokens: c.tokens[:1]}}
	if s.Mode == modeCeiling {
		g, err := startCeiling(ctx, filepath.Join(r.dir, "answer.json"), ceilingAnswer{c.answerHeader, c.answers[s.Op]})
		if err != nil {
			return Measurement{}, err
		}
		defer g.process.stop()
		return r.measure(ctx, g, l, r.opts.Warm, r.opts.Measure)
	}
	redis, redisURL, err := startRedis(ctx, r.dir)
	if err != nil {
		return Measurement{}, err
	}
	defer redis.stop()
	cache := "on"
	if s.Mode == modeCold {
		cache = "off"
	}
	g, err := startGateway(ctx, r.opts.Binary, c, cache, redisURL)
	if err != nil {
		return Measurement{}, err
	}
	defer g.process.stop()
	if _, _, err := c.ask(ctx, g, body); err != nil { // a failing operation is not measured
		return Measurement{}, err
	}
	if s.Mode != modeMixed {
		return r.measure(ctx, g, l, r.opts.Warm, r.opts.Measure)
	}
	l.script.Tokens, l.script.Mutation, l.script.Every = c.tokens, c.mutation, r.opts.Every
	l.script.Think = time.Duration(float64(s.Conns) / r.opts.Rate * float64(time.Second))
	return r.measure(ctx, g, l, r.opts.MixedWarm, r.opts.Mixed)
}

// measure warms up, runs the load, and returns the measurement.
func (r *Runner) measure(ctx context.Context, g *gateway, l load, warm, duration time.Duration) (Measurement, error) {
	l.url, l.duration = g.url, warm
	if _, err := r.drive(ctx, l); err != nil {
		return Measurement{}, err
	}
	// Metrics are read outside of the measured time.
	before, err := g.settled(ctx)
	if err != nil {
		return Measurement{}, err
	}
	used, err := readUsage("/proc", g.process.pid())
	if err != nil {
		return Measurement{}, err
	}
	l.duration, l.script.Seed = duration, l.script.Seed+1<<20
	s, err := r.drive(ctx, l)
	if err != nil {
		return Measurement{}, err
	}
	now, err := readUsage("/proc", g.process.pid())
	if err != nil {
		return Measurement{}, err
	}
	after, err := g.count(ctx)
	if err != nil {
		return Measurement{}, err
	}
	counted := after.since(before)
	// The gateway's count includes operations that were running at the end of the load, since
	// they used CPU, too.
	operations := max(counted.operations, float64(s.Requests))
	return Measurement{
		Requests:  s.Requests,
		Elapsed:   time.Duration(s.Duration) * time.Microsecond,
		P50:       time.Duration(s.P50) * time.Microsecond,
		P99:       time.Duration(s.P99) * time.Microsecond,
		CPU:       time.Duration(float64(now.cpu-used.cpu) / operations),
		Calls:     total(counted.calls) / operations,
		Hits:      counted.hits(),
		Evictions: counted.evictions / operations,
		Resident:  now.resident,
		Peak:      now.peak,
	}, nil
}

// settled reads the metrics after all running operations have been counted. The gateway counts
// an operation after it has sent the answer.
func (g *gateway) settled(ctx context.Context) (counters, error) {
	const between, longest = 100 * time.Millisecond, 2 * time.Second
	c, err := g.count(ctx)
	for begun := time.Now(); err == nil && time.Since(begun) < longest; {
		time.Sleep(between)
		last := c.operations
		if c, err = g.count(ctx); c.operations == last {
			break
		}
	}
	return c, err
}

// count reads the metrics. The ceiling has none.
func (g *gateway) count(ctx context.Context) (counters, error) {
	if g.metrics == "" {
		return counters{}, nil
	}
	return scrape(ctx, g.metrics)
}
