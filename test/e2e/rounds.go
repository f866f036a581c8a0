package e2e

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

// Gate counts the rounds of console calls that an operation needs. It stands
// before the console and holds each call back until the gateway sends no more,
// then lets them all go and counts one round. So what shares a round does not
// depend on how fast anything is.
type Gate struct {
	mu      sync.Mutex
	held    []chan struct{}
	waiting int // calls let go and not answered yet
	opened  int
	timer   *time.Timer
}

// quiet is how long the gateway must have sent nothing, and waited for nothing,
// to pass for one that sends no more before it is answered.
const quiet = 200 * time.Millisecond

func (g *Gate) Hold(*http.Request) {
	pass := make(chan struct{})
	g.mu.Lock()
	g.held = append(g.held, pass)
	g.watch()
	g.mu.Unlock()
	<-pass
}

// Answered is for the answers that come back through the gate.
func (g *Gate) Answered(_ *http.Request, body string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting--
	g.watch()
	return body
}

// watch starts the quiet time anew. The caller holds g.mu.
func (g *Gate) watch() {
	if g.timer != nil {
		g.timer.Stop()
	}
	if len(g.held) > 0 && g.waiting == 0 {
		g.timer = time.AfterFunc(quiet, g.open)
	}
}

func (g *Gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.held) == 0 || g.waiting > 0 {
		return // a late timer
	}
	g.opened++
	g.waiting = len(g.held)
	for _, c := range g.held {
		close(c)
	}
	g.held = nil
}

// Rounds is how often the gate was opened.
func (g *Gate) Rounds() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened
}

// AtMostRounds fails the test where every count is above most. A machine that
// stands still for longer than the quiet time makes two rounds of one, never
// one of two: so the least of a few counts is the true one.
func AtMostRounds(t *testing.T, most int, count func(*testing.T) int) {
	t.Helper()
	least := 0
	for range 4 {
		n := count(t)
		if n <= most {
			return
		}
		if least == 0 || n < least {
			least = n
		}
	}
	t.Errorf("%d rounds of console calls, want at most %d", least, most)
}
