package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// figures are what one run has measured.
type figures struct {
	requests  float64
	perSecond float64
	p50, p99  float64 // ms
	cpu       float64 // ms of the gateway per request, user and system
	calls     float64 // of the console per request
	hits      float64 // share of the queries that were answered from the operation cache
	memory    float64 // resident, MiB
}

// writeTable writes the medians, one row a scenario.
func writeTable(w io.Writer, rows []row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "mode\toperation\tconnections\tconsole ms\trequests/s\tp50 ms\tp99 ms\tCPU ms/op\tcalls/op\tpredicted\thits %\tpredicted\tRSS MiB\t")
	for _, r := range rows {
		calls, hits := "", ""
		if r.mode == "mixed" {
			calls, hits = fmt.Sprintf("%.3f", r.predicted.calls), fmt.Sprintf("%.1f", 100*r.predicted.hits)
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%.0f\t%.2f\t%.2f\t%.3f\t%.3f\t%s\t%.1f\t%s\t%.0f\t\n",
			r.mode, r.operation, r.connections, r.latency.Milliseconds(),
			r.median(func(f figures) float64 { return f.perSecond }),
			r.median(func(f figures) float64 { return f.p50 }),
			r.median(func(f figures) float64 { return f.p99 }),
			r.median(func(f figures) float64 { return f.cpu }),
			r.median(func(f figures) float64 { return f.calls }), calls,
			100*r.median(func(f figures) float64 { return f.hits }), hits,
			r.median(func(f figures) float64 { return f.memory }))
	}
	return t.Flush()
}

// writeRuns writes every run in the format of Go benchmarks
// (https://go.dev/design/14313-benchmark-format), which benchstat compares.
func writeRuns(w io.Writer, rows []row) error {
	for _, r := range rows {
		for _, f := range r.runs {
			_, err := fmt.Fprintf(w, "BenchmarkGateway/%v %.0f %.0f ns/op %.1f requests/s %.3f p50-ms %.3f p99-ms %.4f cpu-ms/op %.4f calls/op %.4f hits/op %.1f rss-MiB\n",
				r.scenario, f.requests, 1e9/f.perSecond, f.perSecond, f.p50, f.p99, f.cpu, f.calls, f.hits, f.memory)
			if err != nil {
				return err
			}
		}
	}
	return nil
}
