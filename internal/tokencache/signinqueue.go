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
	slots  chan struct{}            // one for each sign-in at the SSO
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
