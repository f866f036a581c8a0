package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/cachedconsole"
	"github.com/consoleql/consoleql/internal/gateway"
)

// TestCachingDocument compares the lifetimes in docs/caching.md with the defaults.
func TestCachingDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/caching.md")
	if err != nil {
		t.Fatal(err)
	}
	type row struct{ Life, StaleWhileRevalidate, StaleIfError string }
	got, want := make(map[string]row), make(map[string]row)
	kind := regexp.MustCompile("`([a-z]+)`")
	for _, line := range regexp.MustCompile(`(?m)^\| (.*) \| (\d+ \w+) \| (\d+ \w+) \| (\d+ \w+) \|$`).FindAllStringSubmatch(string(text), -1) {
		for _, name := range kind.FindAllStringSubmatch(line[1], -1) {
			got[name[1]] = row{line[2], line[3], line[4]}
		}
	}
	for name, p := range cachedconsole.DefaultLifetimes() {
		want[name] = row{formatDuration(p.Life), formatDuration(p.StaleWhileRevalidate), formatDuration(p.StaleIfError)}
		if p.Negative != 2*time.Second {
			t.Errorf("%s: it is kept for %v that an entity does not exist, and not for 2 s", name, p.Negative)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/caching.md differs from the lifetimes:\n%s", diff)
	}
}

func formatDuration(d time.Duration) string {
	minutes, isMinutes := strings.CutSuffix(gateway.FormatDuration(d), "m")
	if isMinutes {
		return minutes + " min"
	}
	return strings.TrimSuffix(gateway.FormatDuration(d), "s") + " s"
}
