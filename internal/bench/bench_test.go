package bench

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestScenarios(t *testing.T) {
	all := Scenarios([]string{modeCeiling, modeCold, modeWarm, modeMixed}, []string{"list", "join"}, []int{16, 64}, []time.Duration{0, 20 * time.Millisecond})
	if want := 4 + 3*8; len(all) != want {
		t.Errorf("%d scenarios, want %d: the ceiling has no latencies", len(all), want)
	}
	names := map[string]bool{}
	for _, s := range all {
		if names[s.Name()] {
			t.Errorf("two scenarios are called %s", s.Name())
		}
		names[s.Name()] = true
		if query(s.Op) == "" {
			t.Errorf("%s has no query", s.Name())
		}
	}
	if !names["Warm/op=join/conns=16/latency=20"] {
		t.Errorf("no warm join among %v", names)
	}
}

func TestMedian(t *testing.T) {
	for name, c := range map[string]struct {
		of   []float64
		want float64
	}{
		"none":                    {nil, 0},
		"one":                     {[]float64{7}, 7},
		"odd, out of order":       {[]float64{9, 1, 5}, 5},
		"even":                    {[]float64{4, 1, 2, 100}, 3},
		"an outlier is no matter": {[]float64{1, 1, 1, 1, 1e9}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var r Result
			for _, v := range c.of {
				r.Runs = append(r.Runs, Measurement{Calls: v})
			}
			if got := r.median(func(m Measurement) float64 { return m.Calls }); got != c.want {
				t.Errorf("median %v, want %v", got, c.want)
			}
		})
	}
}

// TestLinesAreBenchmarks verifies the Go benchmark format: a name, the iterations, then pairs
// of value and unit.
func TestLinesAreBenchmarks(t *testing.T) {
	m := Measurement{Requests: 2000, Elapsed: 4 * time.Second, P50: time.Millisecond, P99: 12500 * time.Microsecond,
		CPU: 45 * time.Microsecond, Calls: 0.25, Hits: 0.5, Evictions: 1.5, Resident: 3 << 20, Peak: 4 << 20}
	for name, c := range map[string]struct {
		mode string
		m    Measurement
		want map[string]string
		none []string
	}{
		"ceiling": {modeCeiling, m, map[string]string{"ns/op": "2000000", "cpu-ms/op": "0.04500", "req/s": "500"}, []string{"calls/op"}},
		"warm":    {modeWarm, m, map[string]string{"p99-ms": "12.500", "calls/op": "0.250", "evictions/op": "1.50", "hit-%": "50.00", "rss-MiB": "3.0", "peak-MiB": "4.0"}, nil},
		"mixed":   {modeMixed, m, map[string]string{"calls/op": "0.250", "hit-%": "50.00"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if err := WriteLine(&b, Scenario{c.mode, "join", 16, 20 * time.Millisecond}, c.m); err != nil {
				t.Fatal(err)
			}
			line := b.String()
			if !regexp.MustCompile(`^Benchmark[A-Z][a-z]+/op=join/conns=16/latency=20-\d+ \d+( [0-9.]+ \S+)+\n$`).MatchString(line) {
				t.Fatalf("%q is no line of a benchmark", line)
			}
			fields := strings.Fields(line)[2:]
			got := map[string]string{}
			for i := 0; i < len(fields); i += 2 {
				got[fields[i+1]] = fields[i]
			}
			for unit, value := range c.want {
				if got[unit] != value {
					t.Errorf("%s is %q, want %q", unit, got[unit], value)
				}
			}
			for _, unit := range c.none {
				if got[unit] != "" {
					t.Errorf("%s is %q, want none", unit, got[unit])
				}
			}
		})
	}
}

func TestTableShowsMedians(t *testing.T) {
	run := func(calls float64) Measurement {
		return Measurement{Requests: 100, Elapsed: time.Second, CPU: 5 * time.Millisecond, Calls: calls, Hits: 0.33}
	}
	var b strings.Builder
	err := WriteTable(&b, []Result{
		{Scenario{modeMixed, "list", 16, 0}, []Measurement{run(0.2), run(9), run(0.7)}},
		{Scenario{modeCeiling, "list", 16, 0}, []Measurement{{Requests: 10, Elapsed: time.Second, CPU: 2 * time.Millisecond}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	if !strings.Contains(lines[1], "0.70") || !strings.Contains(lines[1], "33.0%") {
		t.Errorf("mixed is shown as %q", lines[1])
	}
	if got := strings.Fields(lines[1]); got[8] != "2.5" {
		t.Errorf("it takes 5 ms beside the ceiling's 2: %q", lines[1])
	}
	if got := strings.Fields(lines[2]); got[8] != "-" || got[9] != "-" || got[10] != "-" {
		t.Errorf("the ceiling, which calls no console, is shown as %q", lines[2])
	}
}

func TestUsageIsRead(t *testing.T) {
	const zeros = " 0 0 0 0 0 0 0"
	for name, comm := range map[string]string{
		"plain":       "consoleql",
		"spaces":      "a b c",
		"parentheses": "x) R 1 (y",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "42"), 0o700); err != nil {
				t.Fatal(err)
			}
			// utime and stime are the 14th and 15th: 123 and 77 ticks of 10 ms.
			stat := "42 (" + comm + ") S 1 42 42 0 -1 4194560 100 0 0 0 123 77 0 0 20 0 8 0 5000 1000000 300" + strings.Repeat(zeros, 4) + "\n"
			for file, text := range map[string]string{"stat": stat, "status": "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n"} {
				if err := os.WriteFile(filepath.Join(dir, "42", file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := readUsage(dir, 42)
			if err != nil {
				t.Fatal(err)
			}
			if want := (usage{2 * time.Second, 1 << 20, 2 << 20}); got != want {
				t.Errorf("usage %+v, want %+v", got, want)
			}
			if _, err := readUsage(dir, 43); err == nil {
				t.Error("a process that is not there has a usage")
			}
		})
	}
	if got, err := readUsage("/proc", os.Getpid()); err != nil || got.resident == 0 || got.peak < got.resident {
		t.Errorf("this process's usage is %+v, %v", got, err)
	}
}

func TestCountersAreRead(t *testing.T) {
	const text = `# TYPE consoleql_http_request_duration_seconds histogram
consoleql_http_request_duration_seconds_bucket{route="/graphql",method="POST",status="200",le="+Inf"} 8
consoleql_http_request_duration_seconds_sum{route="/graphql",method="POST",status="200"} 1
consoleql_http_request_duration_seconds_count{route="/graphql",method="POST",status="200"} 8
consoleql_http_request_duration_seconds_bucket{route="/healthz",method="GET",status="200",le="+Inf"} 5
consoleql_http_request_duration_seconds_sum{route="/healthz",method="GET",status="200"} 1
consoleql_http_request_duration_seconds_count{route="/healthz",method="GET",status="200"} 5
# TYPE consoleql_console_calls_total counter
consoleql_console_calls_total{operation="GET /openapi/workflows",code=""} 3
consoleql_console_calls_total{operation="GET /openapi/workflows",code="UPSTREAM_TIMEOUT"} 1
consoleql_console_calls_total{operation="PATCH /openapi/workflows/{workflowId}",code=""} 2
`
	before, err := parseCounters(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if before.operations != 8 || before.calls["workflows"] != 4 || before.calls["other"] != 2 || total(before.calls) != 6 {
		t.Errorf("counters %+v", before)
	}
	if before.hits() != 0 {
		t.Errorf("hits %v without a cache", before.hits())
	}
	after, err := parseCounters(strings.NewReader(strings.ReplaceAll(text, "} 8", "} 18") + `# TYPE consoleql_cache_evictions_total counter
consoleql_cache_evictions_total{kind="packages"} 3
# TYPE consoleql_answers_total counter
consoleql_answers_total{source="hit"} 5
consoleql_answers_total{source="shared"} 1
consoleql_answers_total{source="executed"} 4
`))
	if err != nil {
		t.Fatal(err)
	}
	if d := after.since(before); d.operations != 10 || total(d.calls) != 0 || d.hits() != 0.6 || d.evictions != 3 {
		t.Errorf("counted since %+v, hits %v", d, d.hits())
	}
	if _, err := parseCounters(strings.NewReader("<html>")); err == nil {
		t.Error("a page passes for metrics")
	}
}
