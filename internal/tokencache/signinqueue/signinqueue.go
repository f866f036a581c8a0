// Package signinqueue runs the sign-ins of a user one after the other, and bounds those of all users.
package signinqueue

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

// Queue is a queue of sign-ins. It shares no calls (package flight), since each sign-in has its own password and result.
// It is safe for concurrent use.
type Queue struct {
	mu     sync.Mutex
	active map[string]chan struct{} // by user; closed when the sign-in ends
	slots  chan struct{}            // one for each sign-in at the SSO
}

// New returns an empty Queue.
func New() *Queue {
	return &Queue{active: make(map[string]chan struct{}), slots: make(chan struct{}, maxSignIns)}
}

// Enter admits a sign-in to the SSO, if not too many are there. It fails with RATE_LIMITED. The caller calls leave once.
func (q *Queue) Enter() (leave func(), err error) {
	select {
	case q.slots <- struct{}{}:
		return func() { <-q.slots }, nil
	default:
		return nil, fault.Busy("too many sign-ins are under way: try again later")
	}
}

// Acquire waits until no other sign-in of the user is under way, for 10 s at most. It then fails with RATE_LIMITED. done
// ends this one.
func (q *Queue) Acquire(ctx context.Context, user string) (done func(), err error) {
	limit := time.NewTimer(signInWait)
	defer limit.Stop()
	for {
		q.mu.Lock()
		before, taken := q.active[user]
		if !taken {
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
