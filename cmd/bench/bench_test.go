package main

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestCPUOf(t *testing.T) {
	got, err := cpuOf("4242 (a (strange) name) S 1 4242 4242 0 -1 4194560 500 0 0 0 120 34 0 0 20 0 9 0 100 0 0")
	if err != nil || got != 1540*time.Millisecond {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "1 name S 1", "1 (name) S 1 2 3"} {
		if _, err := cpuOf(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestResidentOf(t *testing.T) {
	if got := residentOf("Name:\tx\nVmHWM:\t 9000 kB\nVmRSS:\t  2048 kB\n"); got != 2 {
		t.Errorf("got %v", got)
	}
}

func TestSum(t *testing.T) {
	text := []byte("# HELP x\nx_count{operation=\"a\"} 3\nx_count{operation=\"POST /connect/token\"} 5\nx_counter 9\nx_count 4\n")
	if got := sum(text, "x_count", `operation="POST /connect/token"`); got != 7 {
		t.Errorf("got %v", got)
	}
}

func TestParseResult(t *testing.T) {
	r, err := parseResult([]byte("Running\nRESULT {\"requests\": 10, \"micros\": 2000000, \"p50\": 1500, \"p99\": 9000, \"failed\": 0}\n"))
	if err != nil || r != (result{10, 2e6, 1500, 9000, 0}) {
		t.Errorf("got %+v, %v", r, err)
	}
	for what, text := range map[string]string{
		"nothing":         "unable to connect",
		"failed requests": "RESULT {\"requests\": 10, \"micros\": 2000000, \"failed\": 1}\n",
		"no requests":     "RESULT {\"requests\": 0, \"micros\": 2000000}\n",
	} {
		if _, err := parseResult([]byte(text)); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
}

// TestRunsAreBenchmarks: benchstat takes lines of a name, a count, and pairs of a value
// and a unit.
func TestRunsAreBenchmarks(t *testing.T) {
	var text strings.Builder
	rows := []row{{scenario: scenario{"cold", "join", 16, 20 * time.Millisecond}, runs: []figures{{requests: 100, perSecond: 50}, {requests: 90, perSecond: 45}}}}
	if err := writeRuns(&text, rows); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "BenchmarkGateway/mode=cold/op=join/conns=16/latency=20ms 100 20000000 ns/op 50.0 requests/s ") {
		t.Errorf("%q", lines)
	}
	if fields := strings.Fields(lines[0]); len(fields)%2 != 0 {
		t.Errorf("%d fields in %q", len(fields), lines[0])
	}
}

func TestMedian(t *testing.T) {
	perSecond := func(f figures) float64 { return f.perSecond }
	odd := row{runs: []figures{{perSecond: 9}, {perSecond: 1}, {perSecond: 2}}}
	even := row{runs: []figures{{perSecond: 4}, {perSecond: 1}, {perSecond: 2}, {perSecond: 9}}}
	if got := odd.median(perSecond); got != 2 {
		t.Errorf("of three: %v", got)
	}
	if got := even.median(perSecond); got != 3 {
		t.Errorf("of four: %v", got)
	}
}

// TestPrediction compares the play with the formula of its comment.
func TestPrediction(t *testing.T) {
	const rate = 200
	perPrincipal, mutations := rate*(1-mutationShare)/principals, rate*mutationShare
	want := 0.0
	for k, kind := range joinKinds() {
		mean := kind.life.Seconds()
		if k == 0 {
			mean = (1 - math.Exp(-mutations*mean)) / mutations
		}
		want += (1 - mutationShare) / (1 + perPrincipal*mean)
	}
	want += mutationShare
	got := predict(rate)
	if math.Abs(got.calls-want) > 0.03*want {
		t.Errorf("%v calls per request, by the formula %v", got.calls, want)
	}
	if got.hits <= 0.1 || got.hits >= 0.5 {
		t.Errorf("%v of the queries are hits", got.hits)
	}
}

func TestLua(t *testing.T) {
	if got := lua("a\"b\\c\nd"); got != `"a\"b\\c\nd"` {
		t.Errorf("got %s", got)
	}
	script := mixed("{ q }", "mutation { m }", []string{"t1", "t2"}, 80*time.Millisecond)
	for _, part := range []string{`"t1","t2",`, "return 80", "{ q }", "mutation { m }", "RESULT"} {
		if !strings.Contains(script, part) {
			t.Errorf("no %s in %s", part, script)
		}
	}
}
