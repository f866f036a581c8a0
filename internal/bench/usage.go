package bench

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/procfs"

	"github.com/consoleql/consoleql/internal/cachedconsole"
)

// usage is the resource usage of a process.
type usage struct {
	cpu            time.Duration // user and system time since the start, to 10 ms
	resident, peak uint64        // bytes
}

// readUsage reads a process's usage from the operating system.
func readUsage(proc string, pid int) (usage, error) {
	fs, err := procfs.NewFS(proc)
	if err != nil {
		return usage{}, fmt.Errorf("usage: %w", err)
	}
	p, err := fs.Proc(pid)
	if err != nil {
		return usage{}, fmt.Errorf("usage: %w", err)
	}
	stat, err := p.Stat()
	if err != nil {
		return usage{}, fmt.Errorf("usage: %w", err)
	}
	status, err := p.NewStatus()
	if err != nil {
		return usage{}, fmt.Errorf("usage: %w", err)
	}
	return usage{time.Duration(stat.CPUTime() * float64(time.Second)), status.VmRSS, status.VmHWM}, nil
}

// counters are the gateway's metrics in the table.
type counters struct {
	evictions  float64            // evictions from the response cache for want of space
	operations float64            // HTTP requests answered at /graphql
	calls      map[string]float64 // console calls by kind
	answers    map[string]float64 // by source; empty where there is no cache
}

// scrape reads a gateway's metrics.
func scrape(ctx context.Context, url string) (counters, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return counters{}, fmt.Errorf("metrics: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return counters{}, fmt.Errorf("metrics: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	return parseCounters(resp.Body)
}

// parseCounters reads the Prometheus text format. Metrics that are absent count as zero.
func parseCounters(r io.Reader) (counters, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(r)
	if err != nil {
		return counters{}, fmt.Errorf("metrics: %w", err)
	}
	c := counters{calls: map[string]float64{}, answers: map[string]float64{}}
	each := func(family string, f func(labels map[string]string, count float64)) {
		for _, m := range families[family].GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			f(labels, float64(m.GetHistogram().GetSampleCount())+m.GetCounter().GetValue())
		}
	}
	each("consoleql_http_request_duration_seconds", func(l map[string]string, n float64) {
		if l["route"] == "/graphql" {
			c.operations += n
		}
	})
	kinds := cachedconsole.KindsByOperation()
	each("consoleql_console_calls_total", func(l map[string]string, n float64) {
		c.calls[cmp.Or(kinds[l["operation"]].Name, "other")] += n // a change has no kind
	})
	each("consoleql_cache_evictions_total", func(_ map[string]string, n float64) { c.evictions += n })
	each("consoleql_answers_total", func(l map[string]string, n float64) { c.answers[l["source"]] += n })
	return c, nil
}

// since returns the difference from before to c.
func (c counters) since(before counters) counters {
	d := counters{operations: c.operations - before.operations, evictions: c.evictions - before.evictions,
		calls: map[string]float64{}, answers: map[string]float64{}}
	for kind, n := range c.calls {
		d.calls[kind] = n - before.calls[kind]
	}
	for source, n := range c.answers {
		d.answers[source] = n - before.answers[source]
	}
	return d
}

func total(m map[string]float64) float64 {
	sum := 0.0
	for _, n := range m {
		sum += n
	}
	return sum
}

// hits returns the share of queries that were answered from the cache.
func (c counters) hits() float64 {
	if all := total(c.answers); all > 0 {
		return (c.answers["hit"] + c.answers["shared"]) / all
	}
	return 0
}
