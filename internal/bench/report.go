package bench

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

// Result is a scenario with its runs.
type Result struct {
	Scenario
	Runs []Measurement
}

// median returns the median of f over the runs; of an even number, the mean of the middle two.
func (r Result) median(f func(Measurement) float64) float64 {
	values := make([]float64, len(r.Runs))
	for i, m := range r.Runs {
		values[i] = f(m)
	}
	slices.Sort(values)
	n := len(values)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return values[n/2]
	default:
		return (values[n/2-1] + values[n/2]) / 2
	}
}

// cpu returns the median CPU time of an operation, in milliseconds.
func (r Result) cpu() float64 {
	return r.median(func(m Measurement) float64 { return millis(m.CPU) })
}

const mebibyte = 1 << 20

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// WriteTable writes the medians, one scenario per line.
func WriteTable(w io.Writer, results []Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "scenario\top\tconns\tlatency ms\treq/s\tp50 ms\tp99 ms\tCPU ms/op\t× ceiling\tcalls/op\thits\tRSS MiB\tpeak MiB\t")
	bare := make(map[Scenario]float64)
	for _, r := range results {
		if r.Mode == modeCeiling {
			bare[r.Scenario] = r.cpu()
		}
	}
	for _, r := range results {
		multiple := "-"
		if ceiling := bare[Scenario{Mode: modeCeiling, Op: r.Op, Conns: r.Conns}]; ceiling > 0 && r.Mode != modeCeiling {
			multiple = fmt.Sprintf("%.1f", r.cpu()/ceiling)
		}
		calls, hits := "-", "-"
		if r.Mode != modeCeiling {
			calls = fmt.Sprintf("%.2f", r.median(func(m Measurement) float64 { return m.Calls }))
			hits = fmt.Sprintf("%.1f%%", 100*r.median(func(m Measurement) float64 { return m.Hits }))
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%.0f\t%.2f\t%.2f\t%.4f\t%s\t%s\t%s\t%.1f\t%.1f\t\n",
			r.Mode, r.Op, r.Conns, r.Latency.Milliseconds(),
			r.median(Measurement.Rate),
			r.median(func(m Measurement) float64 { return millis(m.P50) }),
			r.median(func(m Measurement) float64 { return millis(m.P99) }),
			r.cpu(), multiple,
			calls, hits,
			r.median(func(m Measurement) float64 { return float64(m.Resident) / mebibyte }),
			r.median(func(m Measurement) float64 { return float64(m.Peak) / mebibyte }))
	}
	return t.Flush()
}

// WriteHeader begins the Go benchmark format.
func WriteHeader(w io.Writer) error {
	_, err := fmt.Fprintf(w, "goos: %s\ngoarch: %s\npkg: github.com/consoleql/consoleql/cmd/bench\n", runtime.GOOS, runtime.GOARCH)
	return err
}

// WriteLine writes one run of a scenario in the Go benchmark format, for benchstat. ns/op is
// the inverse of the rate at that many connections.
func WriteLine(w io.Writer, s Scenario, m Measurement) error {
	line := fmt.Sprintf("Benchmark%s-%d %d %.0f ns/op %.5f cpu-ms/op %.0f req/s %.3f p50-ms %.3f p99-ms %.1f rss-MiB %.1f peak-MiB",
		s.Name(), runtime.NumCPU(), m.Requests, float64(m.Elapsed)/float64(m.Requests), millis(m.CPU), m.Rate(),
		millis(m.P50), millis(m.P99), float64(m.Resident)/mebibyte, float64(m.Peak)/mebibyte)
	if s.Mode != modeCeiling {
		line += fmt.Sprintf(" %.3f calls/op %.2f hit-%% %.2f evictions/op", m.Calls, 100*m.Hits, m.Evictions)
	}
	_, err := fmt.Fprintln(w, line)
	return err
}
