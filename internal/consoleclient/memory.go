package consoleclient

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/consoleql/consoleql/internal/bytepool"
)

// maxMemoryWait bounds how long a call waits for memory in all. Other operations may wait for the same call, even small
// ones.
const maxMemoryWait = 2 * time.Second

// callMemory is the memory of a call. A nil callMemory takes none.
type callMemory struct {
	share  *bytepool.Share
	waited time.Duration // in all attempts
}

// add takes n more bytes. It returns false if the call must wait for them.
func (m *callMemory) add(n int) bool { return m == nil || m.share.Add(n) }

// await waits for the bytes that the operation has taken.
func (m *callMemory) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, maxMemoryWait-m.waited)
	defer cancel()
	begun := time.Now()
	defer func() { m.waited += time.Since(begun) }()
	return m.share.Take(ctx, 0)
}

// wait returns how long the call has waited for memory.
func (m *callMemory) wait() time.Duration {
	if m == nil {
		return 0
	}
	return m.waited
}

// errTimeUp is the cause of the end of a consoleTime.
var errTimeUp = fmt.Errorf("the console's time is up: %w", context.DeadlineExceeded)

// consoleTime is the context of a request. It ends when the console has used its time, which stands still in pause.
type consoleTime struct {
	context.Context //nolint:containedctx // it is a context itself
	cancel          context.CancelCauseFunc
	timer           *time.Timer
	deadline        time.Time // without pauses
	ends            time.Time
}

func newConsoleTime(ctx context.Context, most time.Duration) *consoleTime {
	ctx, cancel := context.WithCancelCause(ctx)
	ends := time.Now().Add(most)
	return &consoleTime{ctx, cancel, time.AfterFunc(most, func() { cancel(errTimeUp) }), ends, ends}
}

// Deadline implements context.Context.
func (c *consoleTime) Deadline() (time.Time, bool) {
	if parent, ok := c.Context.Deadline(); ok && parent.Before(c.deadline) {
		return parent, true
	}
	return c.deadline, true
}

// Err implements context.Context.
func (c *consoleTime) Err() error {
	if err := c.Context.Err(); err == nil || !errors.Is(context.Cause(c.Context), errTimeUp) {
		return err
	}
	return context.DeadlineExceeded
}

// pause stops the time while fn runs. It is called by one goroutine.
func (c *consoleTime) pause(fn func() error) error {
	if !c.timer.Stop() {
		return c.Err()
	}
	begun := time.Now()
	err := fn()
	c.ends = c.ends.Add(time.Since(begun))
	c.timer.Reset(time.Until(c.ends))
	return err
}

// end releases the context's resources.
func (c *consoleTime) end() {
	c.timer.Stop()
	c.cancel(nil)
}
