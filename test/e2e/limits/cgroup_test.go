//go:build linux

package limits

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// memoryCgroup bounds the memory of processes, like a container's limit.
type memoryCgroup struct {
	dir    string
	events string // file with the number of processes that the kernel has killed
}

// newMemoryCgroup creates a cgroup of version 2 or 1 below this process's own. It returns nil
// without privileges or without a memory controller.
func newMemoryCgroup(t *testing.T, limit int64) *memoryCgroup {
	t.Helper()
	of, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Logf("no cgroup: %v", err)
		return nil
	}
	for line := range strings.Lines(string(of)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3) // hierarchy, controllers, path: cgroups(7)
		if len(fields) != 3 {
			continue
		}
		var c *memoryCgroup
		switch fields[1] {
		case "":
			c, err = makeCgroup(filepath.Join("/sys/fs/cgroup", fields[2]), "memory.max", limit, "memory.swap.max", "memory.events")
		case "memory":
			c, err = makeCgroup(filepath.Join("/sys/fs/cgroup/memory", fields[2]), "memory.limit_in_bytes", limit, "memory.memsw.limit_in_bytes", "memory.oom_control")
		default:
			continue
		}
		if err != nil {
			t.Logf("no cgroup: %v", err)
			continue
		}
		t.Cleanup(func() {
			if err := os.Remove(c.dir); err != nil {
				t.Errorf("cgroup: %v", err)
			}
		})
		return c
	}
	return nil
}

// makeCgroup creates a cgroup below parent and sets its memory limit. swap is the file that
// disables swapping; it exists only if the kernel counts swap.
func makeCgroup(parent, file string, limit int64, swap, events string) (*memoryCgroup, error) {
	dir, err := os.MkdirTemp(parent, "consoleql-test-")
	if err != nil {
		return nil, fmt.Errorf("make a cgroup: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, file), []byte(strconv.FormatInt(limit, 10)), 0); err != nil {
		_ = os.Remove(dir) // it has no limit and is useless
		return nil, fmt.Errorf("limit a cgroup: %w", err)
	}
	swapLimit := "0" // version 2; in version 1 it includes memory
	if events == "memory.oom_control" {
		swapLimit = strconv.FormatInt(limit, 10)
	}
	_ = os.WriteFile(filepath.Join(dir, swap), []byte(swapLimit), 0) // if the kernel counts swap
	return &memoryCgroup{dir: dir, events: filepath.Join(dir, events)}, nil
}

// command returns a program that enters the cgroup and executes the given one.
func (c *memoryCgroup) command(t *testing.T, binary string) string {
	t.Helper()
	script := filepath.Join(t.TempDir(), "in-cgroup")
	text := fmt.Sprintf("#!/bin/sh\necho $$ >'%s' && exec '%s' \"$@\"\n", filepath.Join(c.dir, "cgroup.procs"), binary)
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return script
}

var oomKills = regexp.MustCompile(`(?m)^oom_kill (\d+)$`)

// killed returns how many processes the kernel has killed for lack of memory.
func (c *memoryCgroup) killed(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(c.events)
	if err != nil {
		t.Fatal(err)
	}
	if found := oomKills.FindSubmatch(text); found != nil {
		return string(found[1])
	}
	return "0" // an old kernel has no counter
}

var highWater = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// peakMemory returns the maximum memory of a process, in bytes.
func peakMemory(t testing.TB, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	found := highWater.FindSubmatch(text)
	if found == nil {
		t.Fatalf("process %d has no memory: it has ended", pid)
	}
	kib, err := strconv.ParseInt(string(found[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
