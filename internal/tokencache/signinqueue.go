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
func (q *signInQueue) acquire(ctx context.Context, user string) (done func(), err error) {
	limit := time.NewTimer(signInWait)
	defer limit.Stop()
	for {
		q.mu.Lock()
		before, taken := q.active[user]
		if !taken {
			if q.active == nil {
				q.active = make(map[string]chan struct{})
			}
			mine := make(chan struct{})
			q.active[user] = mine
			q.mu.Unlock()
			return func() {
				q.mu.Lock()
				delete(q.active, user)
				q.mu.Unlock()
				close(mine)
			}, nil
		}
		q.mu.Unlock()
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
func (q *signInQueue) enter() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.busy == maxSignIns {
		return false
	}
	q.busy++
	return true
}

func (q *signInQueue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.busy--
}
