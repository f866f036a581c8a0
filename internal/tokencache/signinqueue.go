package tokencache

import (
	"context"
	"sync"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
)

const (
	// maxSignIns bounds the sign-ins that wait for the SSO: anybody may begin one, and the
	// renewals of those who are signed in need the SSO as well.
	maxSignIns = 32
	// turnWait is how long a sign-in waits for others of the same user.
	turnWait = 10 * time.Second
)

// signInQueue runs the sign-ins of a user one after the other, and bounds those of all users.
// It shares no calls (package flight), since each sign-in has its own password and result.
type signInQueue struct {
	mu    sync.Mutex
	taken map[string]chan struct{} // by user; closed at the end of the turn
	busy  int
}

// of waits for the user's turn, which done ends.
func (t *signInQueue) of(ctx context.Context, user string) (done func(), err error) {
	limit := time.NewTimer(turnWait)
	defer limit.Stop()
	for {
		t.mu.Lock()
		before, taken := t.taken[user]
		if !taken {
			if t.taken == nil {
				t.taken = make(map[string]chan struct{})
			}
			mine := make(chan struct{})
			t.taken[user] = mine
			t.mu.Unlock()
			return func() {
				t.mu.Lock()
				delete(t.taken, user)
				t.mu.Unlock()
				close(mine)
			}, nil
		}
		t.mu.Unlock()
		select {
		case <-before:
		case <-limit.C:
			return nil, fault.New(fault.RateLimited, "another sign-in of this user is under way: try again later")
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// enter is false where too many are under way; else leave is to be called.
func (t *signInQueue) enter() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy == maxSignIns {
		return false
	}
	t.busy++
	return true
}

func (t *signInQueue) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy--
}
