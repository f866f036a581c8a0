package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/cachedconsole"
	"github.com/consoleql/consoleql/internal/gateway"
)

// TestCachingDocument compares the table of docs/caching.md with the table of kinds.
func TestCachingDocument(t *testing.T) {
	const path, begin, end = "../../docs/caching.md", "<!-- Written by \"make generate\" from the table of kinds. -->\n", "\n`CONSOLEQL_CACHE_LIFE`"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	got, after, ends := strings.Cut(rest, end)
	if !found || !ends {
		t.Fatalf("%s has no place for the table", path)
	}
	want := lifetimes(t)
	switch {
	case *update:
		if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	case got != want:
		t.Errorf("%s has another table of lifetimes: run make generate", path)
	}
}

// lifetimes returns the table of lifetimes.
func lifetimes(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| kind | fresh for | then stale while it is renewed, for | stale while the console fails, for |\n| --- | --- | --- | --- |\n")
	for _, k := range cachedconsole.Kinds() {
		name, p := "`"+k.Name+"`", k.Policy
		if k.Note != "" {
			name += " (" + k.Note + ")"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, formatDuration(p.Life), formatDuration(p.StaleWhileRevalidate), formatDuration(p.StaleIfError))
		if p.Negative != 2*time.Second {
			t.Errorf("%s: it is kept for %v that an entity does not exist, and not for 2 s", k.Name, p.Negative)
		}
	}
	return b.String()
}

func formatDuration(d time.Duration) string {
	minutes, isMinutes := strings.CutSuffix(gateway.FormatDuration(d), "m")
	if isMinutes {
		return minutes + " min"
	}
	return strings.TrimSuffix(gateway.FormatDuration(d), "s") + " s"
}
