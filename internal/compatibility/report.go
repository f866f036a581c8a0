// Package compatibility checks a set-up before it serves: the console, as far as its answers differ from its document,
// and Redis.
package compatibility

import (
	"fmt"
	"io"
)

// Level is how serious a finding is.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Warning Level = "warning" // the gateway works, with a disadvantage that the text names
	Failure Level = "failure" // the gateway does not work, or not safely
)

// Finding is one result of a check.
type Finding struct {
	Level Level
	// Component is what was checked, such as a setting, Redis, or an operation of the console.
	Component string
	// Text holds no secret.
	Text string
}

// Report holds findings in the order of the checks.
type Report struct{ Findings []Finding }

// OK adds a finding that something works.
func (r *Report) OK(part, format string, args ...any) { r.add(OK, part, format, args...) }

// Warn adds a warning.
func (r *Report) Warn(part, format string, args ...any) { r.add(Warning, part, format, args...) }

// Fail adds a failure.
func (r *Report) Fail(part, format string, args ...any) { r.add(Failure, part, format, args...) }

func (r *Report) add(level Level, part, format string, args ...any) {
	r.Findings = append(r.Findings, Finding{level, part, fmt.Sprintf(format, args...)})
}

// Failures returns the number of failures.
func (r *Report) Failures() (n int) {
	for _, f := range r.Findings {
		if f.Level == Failure {
			n++
		}
	}
	return n
}

// Write writes one line for each finding.
func (r *Report) Write(w io.Writer) error {
	for _, f := range r.Findings {
		if _, err := fmt.Fprintf(w, "%-8s %s: %s\n", f.Level, f.Component, f.Text); err != nil {
			return err
		}
	}
	return nil
}
