package e2e

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

// RoundCounter counts the rounds of console calls that an operation makes. It blocks calls to
// the console until the gateway sends no more, then releases all of them and counts one round.
// So the count does not depend on timing.
type RoundCounter struct {
	mu      sync.Mutex
	blocked []chan struct{}
	waiting int // released calls without an answer
	opened  int
	open    bool // calls are not blocked
	timer   *time.Timer
}

// quietPeriod is how long the gateway must send no call, with none unanswered, until a round
// counts as complete.
const quietPeriod = 200 * time.Millisecond

func (g *RoundCounter) OnRequest(*http.Request) {
	pass := make(chan struct{})
	g.mu.Lock()
	if g.open {
		g.waiting++
		g.mu.Unlock()
		return
	}
	g.blocked = append(g.blocked, pass)
	g.restartTimer()
	g.mu.Unlock()
	<-pass
}

// Open lets all later calls pass, or blocks them. No operation may be under way.
func (g *RoundCounter) Open(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = open
}

// OnAnswer counts an answer of the console.
func (g *RoundCounter) OnAnswer(_ *http.Request, body string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting--
	g.restartTimer()
	return body
}

// restartTimer restarts the quiet period. The caller holds g.mu.
func (g *RoundCounter) restartTimer() {
	if g.timer != nil {
		g.timer.Stop()
	}
	if len(g.blocked) > 0 && g.waiting == 0 {
		g.timer = time.AfterFunc(quietPeriod, g.release)
	}
}

func (g *RoundCounter) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.blocked) == 0 || g.waiting > 0 {
		return // the timer was late
	}
	g.opened++
	g.waiting = len(g.blocked)
	for _, c := range g.blocked {
		close(c)
	}
	g.blocked = nil
}

// Rounds returns the number of rounds.
func (g *RoundCounter) Rounds() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened
}

// CheckRounds fails the test if every count exceeds most. A stalled machine can split a round
// in two, but never merge two. The minimum of a few counts is therefore correct.
func CheckRounds(t *testing.T, most int, count func(*testing.T) int) {
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
