// Package logqueue writes lines to a sink on a goroutine of its own. Requests do not wait for the reader of a log.
package logqueue

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"
)

// Options are the parameters of a Queue.
type Options struct {
	// Lines is the greatest number of lines that are not written yet; default 1,024.
	Lines int
	// Wait is how long Write waits for room in a full queue; 0: not at all.
	Wait time.Duration
	// Delay is how long a line waits for others, which are written together with it; 0: not at all.
	Delay time.Duration
	// Lost is called with the number of lines that were not written; it may be nil. It must not write to the queue.
	Lost func(lines int)
	// Failed is called with the first error of the sink, and at most once a minute while it fails; it may be nil. lost are
	// the lines that were lost since the call before.
	Failed func(err error, lost int)
	// Recovered is called when the sink takes lines again after Failed; it may be nil. lost are the lines that were lost
	// since the last call of Failed.
	Recovered func(lost int)
}

// failedAgain is the least time between two calls of Options.Failed in one outage.
const failedAgain = time.Minute

// maxLines is the default of Options.Lines.
const maxLines = 1024

// Queue is a sink of lines that writes them later, in their order. It is safe for concurrent use.
type Queue struct {
	sink io.Writer
	opts Options
	wake chan struct{} // holds a message if there is work
	done chan struct{} // closed when the last line is written

	mu       sync.Mutex
	pending  []byte        // lines that are not being written yet
	spare    []byte        // memory of an earlier batch
	lines    int           // number of lines that are not written yet
	queued   uint64        // number of lines that were ever taken
	written  uint64        // number of them that were written or lost
	progress chan struct{} // closed and replaced when a batch is written
	closed   bool

	failedAt   time.Time // last call of Options.Failed; zero: the sink works
	unreported int       // lines that were lost since
}

// New returns a queue in front of sink; Close ends it.
func New(sink io.Writer, o Options) *Queue {
	if o.Lines <= 0 {
		o.Lines = maxLines
	}
	if o.Lost == nil {
		o.Lost = func(int) {}
	}
	if o.Failed == nil {
		o.Failed = func(error, int) {}
	}
	if o.Recovered == nil {
		o.Recovered = func(int) {}
	}
	q := &Queue{sink: sink, opts: o, wake: make(chan struct{}, 1), done: make(chan struct{}), progress: make(chan struct{})}
	go q.run()
	return q
}

// Write takes a copy of one line with its line break. If the queue stays full for Options.Wait, or is closed, the line
// is lost. Write returns no error.
func (q *Queue) Write(line []byte) (int, error) {
	q.take(line, q.opts.Wait)
	return len(line), nil
}

// WriteThrough is Write, and waits until the line is written. It waits at most wait, for both.
func (q *Queue) WriteThrough(line []byte, wait time.Duration) {
	begun := time.Now()
	position, taken := q.take(line, wait)
	if !taken {
		return
	}
	q.await(wait-time.Since(begun), func() bool { return q.written >= position })
}

// take queues a line, and returns its position in the order of all lines.
func (q *Queue) take(line []byte, wait time.Duration) (position uint64, taken bool) {
	q.mu.Lock()
	position, taken = q.tryTake(line)
	full := !taken && !q.closed
	q.mu.Unlock()
	if full && wait > 0 {
		q.await(wait, func() bool {
			position, taken = q.tryTake(line)
			return taken || q.closed
		})
	}
	if !taken {
		q.opts.Lost(1)
		return 0, false
	}
	q.signal()
	return position, true
}

// tryTake queues a line if there is room. The caller holds the lock.
func (q *Queue) tryTake(line []byte) (position uint64, taken bool) {
	if q.closed || q.lines >= q.opts.Lines {
		return 0, false
	}
	q.pending = append(q.pending, line...)
	q.lines++
	q.queued++
	return q.queued, true
}

// await waits until reached, which it calls with the lock held, or for the given time.
func (q *Queue) await(wait time.Duration, reached func() bool) {
	timer := time.NewTimer(max(0, wait))
	defer timer.Stop()
	for {
		q.mu.Lock()
		ok, progress := reached(), q.progress
		q.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-progress:
		case <-timer.C:
			return
		}
	}
}

func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default: // the goroutine has a message already
	}
}

// run writes batches of lines until the queue is closed and empty.
func (q *Queue) run() {
	defer close(q.done)
	for range q.wake {
		q.delay()
		for more := true; more; { // each batch has the lines that came during the one before
			more = q.batch()
		}
		q.mu.Lock()
		ended := q.closed && q.lines == 0
		q.mu.Unlock()
		if ended {
			return
		}
	}
}

// delay lets lines come together, unless the queue is half full or closed.
func (q *Queue) delay() {
	if q.opts.Delay <= 0 {
		return
	}
	q.mu.Lock()
	now := q.closed || q.lines > q.opts.Lines/2
	q.mu.Unlock()
	if !now {
		time.Sleep(q.opts.Delay)
	}
}

// batch writes the pending lines. It returns false if there are none.
func (q *Queue) batch() bool {
	q.mu.Lock()
	batch := q.pending
	if len(batch) == 0 {
		q.mu.Unlock()
		return false
	}
	lines := q.queued - q.written
	q.pending = q.spare[:0]
	q.mu.Unlock()
	n, err := q.sink.Write(batch)
	q.report(err, int(lines)-bytes.Count(batch[:n], []byte("\n"))) //nolint:gosec // at most Options.Lines
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spare = batch
	q.lines -= int(lines) //nolint:gosec // at most Options.Lines
	q.written += lines
	close(q.progress)
	q.progress = make(chan struct{})
	return true
}

// report reports the outcome of a batch. Only the goroutine of the queue calls it.
func (q *Queue) report(err error, lost int) {
	if err == nil {
		if !q.failedAt.IsZero() {
			q.failedAt = time.Time{}
			q.opts.Recovered(q.unreported)
			q.unreported = 0
		}
		return
	}
	q.unreported += lost
	if q.failedAt.IsZero() || time.Since(q.failedAt) >= failedAgain {
		q.failedAt = time.Now()
		q.opts.Failed(err, q.unreported)
		q.unreported = 0
	}
	q.opts.Lost(lost)
}

// Flush waits until the lines that were taken are written, at most for wait.
func (q *Queue) Flush(wait time.Duration) {
	q.mu.Lock()
	last := q.queued
	q.mu.Unlock()
	q.await(wait, func() bool { return q.written >= last })
}

// Close takes no more lines, and waits until the last one is written or ctx ends. Then it counts the rest as lost, and
// fails with ctx's error.
func (q *Queue) Close(ctx context.Context) error {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
	select {
	case <-q.done:
		return nil
	case <-ctx.Done():
		q.mu.Lock()
		left := q.lines
		q.mu.Unlock()
		q.opts.Lost(left)
		return ctx.Err()
	}
}
