package tokencache

import (
	"context"
	"sync"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
)

const (
	// maxSignIns bounds the sign-ins under way at the SSO. Anybody may begin one, and renewals
	// need the SSO as well.
	maxSignIns = 32
	// signInWait is how long a sign-in waits for others of the same user.
	signInWait = 10 * time.Second
)

// signInQueue runs the sign-ins of a user one after the other, and bounds those of all users.
// It shares no calls (package flight), since each sign-in has its own password and result.
type signInQueue struct {
	mu     sync.Mutex
	active map[string]chan struct{} // by user; closed when the sign-in ends
	busy   int
}

// acquire waits until no other sign-in of the user is under way. done ends this one.
func (t *signInQueue) acquire(ctx context.Context, user string) (done func(), err error) {
	limit := time.NewTimer(signInWait)
	defer limit.Stop()
	for {
		t.mu.Lock()
		before, taken := t.active[user]
		if !taken {
			if t.active == nil {
				t.active = make(map[string]chan struct{})
			}
			mine := make(chan struct{})
			t.active[user] = mine
			t.mu.Unlock()
			return func() {
				t.mu.Lock()
				delete(t.active, user)
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

// enter returns false if too many sign-ins are under way. Otherwise, leave must be called.
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
