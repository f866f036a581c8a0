package chaos

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const document = "../../docs/resilience.md"

const introduction = `# Resilience

This page shows answers while a part fails. ` + "`make chaos`" + ` runs each fault with a real console, Redis, network and gateway, compares the results, and writes this page.

- *answer*: the result, or the events of a subscription that goes on.
- *stale data*: an earlier answer with ` + "`extensions.stale`" + `, if one is cached. The code in brackets is its ` + "`reason`" + `.
- A code is ` + "`extensions.code`" + ` of the error. In mutations, ` + "`extensions.outcome`" + ` follows: see [errors.md](errors.md#outcomes-of-mutations).
- *again*: what the same mutation with the same ` + "`idempotencyKey`" + ` gets after the fault; without it, an answer.
- *after timeout*: the answer takes as long as ` + "`CONSOLEQL_CONSOLE_TIMEOUT`, `CONSOLEQL_CONSOLE_WRITE_TIMEOUT` or `CONSOLEQL_UPLOAD_TIMEOUT`" + ` allows. *after patience*: it takes twice the usual time of that read, at least one second. Anything else is answered at once, or after a few short waits between attempts.
- The number is the most calls of the console that the operation makes. A failed read is sent at most three times, and once more with a new token. A second call of a hanging read shows whether its connection is dead.
- The console executes a mutation at most once, in every row.

A join is a list that works with related entities that fail. Without stale data, a cached list is like a cold one.
`

// render returns the document.
func render() string {
	var out strings.Builder
	out.WriteString(introduction)
	part := ""
	for _, r := range rows() {
		of, name, _ := strings.Cut(r.name, ": ")
		if of != part {
			part = of
			fmt.Fprintf(&out, "\n## %s\n\n| fault |", strings.ToUpper(of[:1])+of[1:])
			for _, title := range titles() {
				fmt.Fprintf(&out, " %s |", title)
			}
			out.WriteString("\n|" + strings.Repeat(" --- |", 1+len(titles())) + "\n")
		}
		fmt.Fprintf(&out, "| %s |", name)
		for _, c := range r.want.columns() {
			fmt.Fprintf(&out, " %s |", c.text())
		}
		out.WriteString("\n")
	}
	return out.String()
}

// TestDocument compares docs/resilience.md with the rows. The flag -write writes it.
func TestDocument(t *testing.T) {
	t.Parallel()
	if *write {
		if err := os.WriteFile(document, []byte(render()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != render() {
		t.Error("docs/resilience.md differs from the faults of this package: run `make chaos`")
	}
}
