package chaos

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// wait is what an operation waits for before its answer.
type wait string

const (
	noWait    wait = ""
	staleWait wait = "patience" // the time after which stale data is served
	timeout   wait = "timeout"  // that of the console
)

// The bounds of waits. A cell that waits for the timeout has a short one. Any other has a long one, so that an operation
// that waits for it is found on a busy machine, too.
const (
	shortTimeout = 2 * time.Second
	longTimeout  = time.Minute
	leastWait    = time.Second
)

// least returns the least time that an operation with the wait takes.
func (w wait) least() time.Duration {
	switch w {
	case staleWait:
		return leastWait
	case timeout:
		return shortTimeout
	case noWait:
	}
	return 0
}

// cell is what a caller sees of an operation under a fault.
type cell struct {
	code    string // of the error; empty: an answer
	outcome string // of a mutation that failed
	stale   string // why stale data is served; empty: it is not
	ended   bool   // the subscription ended
	lost    bool   // the caller's connection was lost
	wait    wait
	calls   int // the most calls of the console; 0: none, and streams are not counted
	// executed is the most executions that the console saw of one mutation, and of its repetition with the same key.
	executed int
	// again is the code of the repetition; empty: an answer.
	again string
}

// text is the cell in the document.
func (c cell) text() string {
	var words []string
	switch {
	case c.lost:
		words = append(words, "connection ends")
	case c.ended:
		words = append(words, "ends with `"+c.code+"`")
	case c.stale != "":
		words = append(words, "stale data (`"+c.stale+"`)")
	case c.code == "":
		words = append(words, "answer")
	default:
		words = append(words, "`"+c.code+"`")
	}
	if c.outcome != "" {
		words = append(words, "`"+c.outcome+"`")
	}
	if c.again != "" {
		words = append(words, "again: `"+c.again+"`")
	}
	if c.wait != noWait {
		words = append(words, "after "+string(c.wait))
	}
	if c.calls > 0 {
		words = append(words, strconv.Itoa(c.calls))
	}
	return strings.Join(words, ", ")
}

// differs returns how an observation violates the cell; empty: it does not.
func (c cell) differs(seen cell, took time.Duration) string {
	var found []string
	add := func(what string, want, got any) {
		found = append(found, fmt.Sprintf("%s %v, want %v", what, got, want))
	}
	if seen.code != c.code {
		add("code", c.code, seen.code)
	}
	if seen.outcome != c.outcome {
		add("outcome", c.outcome, seen.outcome)
	}
	if seen.stale != c.stale {
		add("stale", c.stale, seen.stale)
	}
	if seen.ended != c.ended || seen.lost != c.lost {
		add("ended, lost", fmt.Sprint(c.ended, c.lost), fmt.Sprint(seen.ended, seen.lost))
	}
	if seen.again != c.again {
		add("again", c.again, seen.again)
	}
	if seen.calls > c.calls {
		add("calls", fmt.Sprint("at most ", c.calls), seen.calls)
	}
	if seen.executed > c.executed {
		add("executions", fmt.Sprint("at most ", c.executed), seen.executed)
	}
	if least := c.wait.least(); took < least*9/10 || took > longTimeout/2 {
		add("time", c.wait, took)
	}
	return strings.Join(found, "; ")
}
