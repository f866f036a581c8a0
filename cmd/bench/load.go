package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The load is wrk's (https://github.com/wg/wrk): of the generators that Debian has it
// takes the least of the two cores, and its scripts can play many principals.

// same is a script that sends one operation again and again.
func same(operation string) string {
	return prelude + fmt.Sprintf("wrk.body = %s\n", lua(body(operation))) + epilogue
}

// mixed is a script of many principals, each with a token: most requests ask the
// query, one in a hundred is the mutation; a connection pauses before each.
func mixed(query, mutation string, tokens []string, pause time.Duration) string {
	var s strings.Builder
	s.WriteString(prelude)
	s.WriteString("local tokens = {")
	for _, token := range tokens {
		s.WriteString(lua(token) + ",")
	}
	fmt.Fprintf(&s, "}\nlocal query, mutation = %s, %s\n", lua(body(query)), lua(body(mutation)))
	fmt.Fprintf(&s, `math.randomseed(1)
function delay() return %d end
function request()
  local headers = { ["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. tokens[math.random(#tokens)] }
  if math.random() < %g then return wrk.format("POST", nil, headers, mutation) end
  return wrk.format("POST", nil, headers, query)
end
`, pause.Milliseconds(), mutationShare)
	return s.String() + epilogue
}

const prelude = `wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
`

// epilogue prints what was measured, as JSON. An answer with GraphQL errors counts as
// failed, too, as long as it begins with them, as gqlgen's do.
const epilogue = `
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\nRESULT {"requests": %d, "micros": %d, "p50": %d, "p99": %d, "failed": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
`

func body(operation string) string {
	text, err := json.Marshal(map[string]string{"query": operation})
	if err != nil {
		panic(err) // a string can be encoded
	}
	return string(text)
}

// lua is a string literal of Lua's. Of what JSON and tokens consist of, only quotes,
// backslashes and line breaks need care.
func lua(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// result is what a script prints in the end.
type result struct {
	Requests, Micros, P50, P99, Failed float64
}

// parseResult finds the result in wrk's output.
func parseResult(output []byte) (r result, err error) {
	_, text, ok := bytes.Cut(output, []byte("RESULT "))
	if !ok {
		return r, fmt.Errorf("wrk has printed no result: %.500s", output)
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("wrk's result %q: %w", line, err)
	}
	if r.Requests == 0 || r.Micros == 0 {
		return r, errors.New("nothing was answered")
	}
	if r.Failed > 0 {
		return r, fmt.Errorf("%.0f of %.0f requests failed", r.Failed, r.Requests)
	}
	return r, nil
}

// load puts a target under load for a time, and measures it.
func (b *bench) load(ctx context.Context, t *target, connections int, d time.Duration, script string) (figures, error) {
	path := filepath.Join(b.dir, "load.lua")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		return figures{}, err
	}
	before, err := t.look(ctx)
	if err != nil {
		return figures{}, err
	}
	command := exec.CommandContext(ctx, "wrk", "--threads=1", "--connections="+strconv.Itoa(connections),
		"--duration="+strconv.Itoa(max(1, int(d.Seconds())))+"s", "--timeout=10s", "--script="+path, t.url) //nolint:gosec // our own script
	output, err := command.CombinedOutput()
	if err != nil {
		return figures{}, fmt.Errorf("wrk (of which `make bench` wants 4.1): %w: %s", err, output)
	}
	after, err := t.look(ctx)
	if err != nil {
		return figures{}, err
	}
	r, err := parseResult(output)
	if err != nil {
		return figures{}, err
	}
	f := figures{
		requests:  r.Requests,
		perSecond: r.Requests / (r.Micros / 1e6),
		p50:       r.P50 / 1000,
		p99:       r.P99 / 1000,
		cpu:       (after.cpu - before.cpu).Seconds() * 1000 / r.Requests,
		calls:     (after.calls - before.calls) / r.Requests,
		memory:    after.memory,
	}
	if answers := after.answers - before.answers; answers > 0 {
		f.hits = (after.hits - before.hits) / answers
	}
	return f, nil
}
