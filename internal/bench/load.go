package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
	"time"
)

// The load generator is wrk. It needs little CPU (a few µs per request, one thread with
// epoll), which matters since it shares two cores with the gateway. Its percentiles include
// requests that a slow answer delayed (coordinated omission), so that a stall is visible.

// load describes a run of the load generator.
type load struct {
	url      string
	conns    int
	duration time.Duration
	script   script
}

// script contains the parameters of the load generator's Lua script.
type script struct {
	Seed     uint64
	Header   map[string]string // of every request
	Body     string
	Tokens   []string      // tokens of the principals, drawn at random
	Mutation string        // body; empty: none
	Every    int           // the share of mutations: one per so many requests
	Think    time.Duration // mean time between an answer and the connection's next request
}

// summary is the output of the load generator.
type summary struct {
	Requests int   `json:"requests"`
	Duration int64 `json:"duration"` // µs
	P50      int64 `json:"p50"`      // µs
	P99      int64 `json:"p99"`      // µs
	Errors   int   `json:"errors"`   // connections, reads, writes, timeouts, statuses from 400
}

// luaScript does constant work per request. With a single request, wrk does not call Lua at
// all.
const luaScript = `math.randomseed({{.Seed}}); for _ = 1, 10 do math.random() end
local tokens = { {{range .Tokens}}{{lua .}}, {{end}} }
local function headers(token)
  local h = { ["Authorization"] = "Bearer " .. token }
  {{range $name, $value := .Header}}h[{{lua $name}}] = {{lua $value}}
  {{end}}return h
end
{{if gt (len .Tokens) 1}}
local reads, writes, sent = {}, {}, 0
init = function()
  for i, token in ipairs(tokens) do
    reads[i] = wrk.format("POST", nil, headers(token), {{lua .Body}})
    writes[i] = wrk.format("POST", nil, headers(token), {{lua .Mutation}})
  end
end
request = function()
  local i = math.random(#tokens)
  sent = sent + 1
  if sent % {{.Every}} == 0 then return writes[i] end
  return reads[i]
end
{{else}}
wrk.method, wrk.body, wrk.headers = "POST", {{lua .Body}}, headers(tokens[1])
{{end}}
{{if .Think}}
delay = function() return math.floor(-math.log(1 - math.random()) * {{.Think.Milliseconds}} + 0.5) end
{{end}}
done = function(s, latency)
  local e = s.errors
  io.write(string.format('\n{"requests":%d,"duration":%d,"p50":%d,"p99":%d,"errors":%d}\n',
    s.requests, s.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.timeout + e.status))
end
`

// text returns the script in Lua.
func (s script) text() ([]byte, error) {
	t, err := template.New("wrk").Funcs(template.FuncMap{"lua": luaString}).Parse(luaScript)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, s); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	return b.Bytes(), nil
}

// luaString quotes a text for Lua.
func luaString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\x00", `\0`).Replace(s) + `"`
}

// run runs the load generator. It deletes the script afterwards, since it contains tokens.
func (l load) run(ctx context.Context, dir string) (summary, error) {
	text, err := l.script.text()
	if err != nil {
		return summary{}, err
	}
	path := filepath.Join(dir, "load.lua")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return summary{}, fmt.Errorf("load: %w", err)
	}
	defer func() { _ = os.Remove(path) }()
	seconds := max(1, int(l.duration.Round(time.Second)/time.Second)) // wrk accepts whole seconds
	//nolint:gosec // arguments of this package
	cmd := exec.CommandContext(ctx, "wrk", "-t1", fmt.Sprintf("-c%d", l.conns), fmt.Sprintf("-d%ds", seconds), "--timeout", "30s", "-s", path, l.url)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return summary{}, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	s, err := parseSummary(out)
	if err != nil {
		return summary{}, err
	}
	if s.Errors > 0 {
		return s, fmt.Errorf("wrk: %d of %d requests failed\n%s", s.Errors, s.Requests, out)
	}
	return s, nil
}

// parseSummary parses the load generator's output.
func parseSummary(out []byte) (summary, error) {
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		if line := lines.Bytes(); bytes.HasPrefix(line, []byte("{")) {
			var s summary
			if err := json.Unmarshal(line, &s); err != nil {
				return s, fmt.Errorf("wrk's summary: %w", err)
			}
			if s.Requests == 0 || s.Duration == 0 {
				return s, fmt.Errorf("wrk had no answer\n%s", out)
			}
			return s, nil
		}
	}
	return summary{}, errors.New("wrk gave no summary\n" + string(out))
}
