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

func (rc *RoundCounter) OnRequest(*http.Request) {
	pass := make(chan struct{})
	rc.mu.Lock()
	if rc.open {
		rc.waiting++
		rc.mu.Unlock()
		return
	}
	rc.blocked = append(rc.blocked, pass)
	rc.restartTimer()
	rc.mu.Unlock()
	<-pass
}

// Open lets all later calls pass, or blocks them. No operation may be under way.
func (rc *RoundCounter) Open(open bool) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	rc.open = open
}

// OnAnswer counts an answer of the console.
func (rc *RoundCounter) OnAnswer(_ *http.Request, body string) string {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	rc.waiting--
	rc.restartTimer()
	return body
}

// restartTimer restarts the quiet period. The caller holds rc.mu.
func (rc *RoundCounter) restartTimer() {
	if rc.timer != nil {
		rc.timer.Stop()
	}
	if len(rc.blocked) > 0 && rc.waiting == 0 {
		rc.timer = time.AfterFunc(quietPeriod, rc.release)
	}
}

func (rc *RoundCounter) release() {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	if len(rc.blocked) == 0 || rc.waiting > 0 {
		return // the timer was late
	}
	rc.opened++
	rc.waiting = len(rc.blocked)
	for _, c := range rc.blocked {
		close(c)
	}
	rc.blocked = nil
}

// Rounds returns the number of rounds.
func (rc *RoundCounter) Rounds() int {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return rc.opened
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
