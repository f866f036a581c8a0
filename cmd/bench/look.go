package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// look is a look at a process, and at what it tells of itself.
type look struct {
	cpu     time.Duration // user and system
	memory  float64       // resident, MiB
	calls   float64       // of the console
	hits    float64       // answers of the operation cache
	answers float64       // of queries
}

func (t *target) look(ctx context.Context) (l look, err error) {
	pid := strconv.Itoa(t.command.Process.Pid)
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return l, err
	}
	if l.cpu, err = cpuOf(string(stat)); err != nil {
		return l, err
	}
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return l, err
	}
	l.memory = residentOf(string(status))
	if t.metrics == "" {
		return l, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.metrics, nil)
	if err != nil {
		return l, err
	}
	text, err := fetch(req)
	if err != nil {
		return l, err
	}
	l.calls = sum(text, "consoleql_console_call_duration_seconds_count", `operation="POST /connect/token"`)
	l.answers = sum(text, "consoleql_answers_total", "")
	l.hits = l.answers - sum(text, "consoleql_answers_total", `source="hit"`)
	return l, nil
}

// tick is the kernel's unit of CPU time for /proc: USER_HZ, 100 on every architecture
// that Linux runs Go on.
const tick = 10 * time.Millisecond

// cpuOf reads the user and system time of /proc/<pid>/stat (proc(5)). The process's
// name, in parentheses, may hold anything.
func cpuOf(stat string) (time.Duration, error) {
	end := strings.LastIndexByte(stat, ')')
	fields := strings.Fields(stat[end+1:])
	if end < 0 || len(fields) < 13 {
		return 0, errors.New("/proc/<pid>/stat is not as expected")
	}
	var ticks int64
	for _, f := range fields[11:13] { // utime and stime, the fields 14 and 15
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/<pid>/stat: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// residentOf reads VmRSS of /proc/<pid>/status, in MiB; 0 where it is missing.
func residentOf(status string) float64 {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
			if err == nil {
				return kib / 1024
			}
		}
	}
	return 0
}

// sum adds up a figure over its labels, but for lines that hold without, if not empty.
func sum(metrics []byte, name, without string) float64 {
	all := 0.0
	for line := range bytes.Lines(metrics) {
		rest, ok := bytes.CutPrefix(line, []byte(name))
		if !ok || rest[0] != '{' && rest[0] != ' ' || without != "" && bytes.Contains(rest, []byte(without)) {
			continue
		}
		i := bytes.LastIndexByte(bytes.TrimSpace(rest), ' ')
		if n, err := strconv.ParseFloat(string(bytes.TrimSpace(rest[i+1:])), 64); err == nil {
			all += n
		}
	}
	return all
}
