package logqueue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/logqueue"
)

// sink is a sink that can stall or fail.
type sink struct {
	stalled chan struct{} // Write waits until it is closed; nil: it does not
	err     error

	mu     sync.Mutex
	text   bytes.Buffer
	writes int
}

func (s *sink) Write(p []byte) (int, error) {
	if s.stalled != nil {
		<-s.stalled
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	if s.err != nil {
		return 0, s.err
	}
	return s.text.Write(p)
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// TestAllLinesAreWritten verifies that lines of many writers arrive whole, and each writer's in order.
func TestAllLinesAreWritten(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 500
	s := &sink{}
	q := logqueue.New(s, logqueue.Options{Lines: 16, Wait: time.Minute})
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				fmt.Fprintf(q, "writer %d line %d\n", w, i)
			}
		})
	}
	all.Wait()
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := make(map[int]int)
	for line := range strings.Lines(s.String()) {
		var w, i int
		if _, err := fmt.Sscanf(line, "writer %d line %d\n", &w, &i); err != nil || i != next[w] {
			t.Fatalf("%q after %d: %v", line, next[w], err)
		}
		next[w]++
	}
	if len(next) != writers || next[0] != each {
		t.Errorf("lines by writer: %v", next)
	}
}

// TestStalledSink verifies the bound of the queue, the wait for room, and the count of lost lines.
func TestStalledSink(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sink{stalled: make(chan struct{})}
		var lost atomic.Int64
		q := logqueue.New(s, logqueue.Options{Lines: 4, Wait: 50 * time.Millisecond, Lost: func(n int) { lost.Add(int64(n)) }})
		begun := time.Now()
		for range 4 {
			fmt.Fprintln(q, "taken")
		}
		if took := time.Since(begun); took != 0 || lost.Load() != 0 {
			t.Errorf("four lines took %v, and %d are lost", took, lost.Load())
		}
		fmt.Fprintln(q, "lost")
		if took := time.Since(begun); took != 50*time.Millisecond || lost.Load() != 1 {
			t.Errorf("a line too many took %v, and %d are lost", took, lost.Load())
		}
		q.WriteThrough([]byte("lost\n"), 20*time.Millisecond)
		if took := time.Since(begun); took != 70*time.Millisecond || lost.Load() != 2 {
			t.Errorf("after %v, %d lines are lost", took, lost.Load())
		}
		time.AfterFunc(10*time.Millisecond, func() { close(s.stalled) })
		fmt.Fprintln(q, "waited")
		if took := time.Since(begun); took != 80*time.Millisecond || lost.Load() != 2 {
			t.Errorf("after %v, %d lines are lost", took, lost.Load())
		}
		if err := q.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got, want := s.String(), strings.Repeat("taken\n", 4)+"waited\n"; got != want {
			t.Errorf("written %q, want %q", got, want)
		}
		fmt.Fprintln(q, "after the end")
		if lost.Load() != 3 {
			t.Errorf("%d lines are lost", lost.Load())
		}
	})
}

// TestWriteThrough verifies that the line is in the sink when the call returns.
func TestWriteThrough(t *testing.T) {
	t.Parallel()
	s := &sink{}
	q := logqueue.New(s, logqueue.Options{})
	for i := range 100 {
		line := fmt.Sprintf("line %d\n", i)
		q.WriteThrough([]byte(line), time.Minute)
		if !strings.HasSuffix(s.String(), line) {
			t.Fatalf("%q is not written", line)
		}
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestLinesAreBatched verifies that a delay saves writes.
func TestLinesAreBatched(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		q := logqueue.New(s, logqueue.Options{Delay: 5 * time.Millisecond})
		for range 10 {
			fmt.Fprintln(q, "line")
			time.Sleep(time.Millisecond / 2)
		}
		if err := q.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := strings.Count(s.String(), "line\n"); got != 10 || s.writes > 2 {
			t.Errorf("%d lines in %d writes", got, s.writes)
		}
	})
}

// TestFailures verifies that lines of a failed write, and those left at the end, are counted as lost.
func TestFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var lost atomic.Int64
		var failed atomic.Pointer[error]
		count := func(n int) { lost.Add(int64(n)) }
		full := errors.New("no space left")
		q := logqueue.New(&sink{err: full}, logqueue.Options{Lost: count, Failed: func(err error, _ int) { failed.Store(&err) }})
		fmt.Fprintln(q, "line")
		synctest.Wait()
		if err := failed.Load(); err == nil || !errors.Is(*err, full) || lost.Load() != 1 {
			t.Errorf("%v, %d lines are lost", err, lost.Load())
		}
		if err := q.Close(t.Context()); err != nil {
			t.Error(err)
		}

		s := &sink{stalled: make(chan struct{})}
		q = logqueue.New(s, logqueue.Options{Lost: count})
		fmt.Fprintln(q, "one")
		fmt.Fprintln(q, "two")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := q.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || lost.Load() != 3 {
			t.Errorf("%v, %d lines are lost", err, lost.Load())
		}
		close(s.stalled)
	})
}
