package logqueue_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/logqueue"
)

// disk is a sink with a bound.
type disk struct {
	text  bytes.Buffer
	space atomic.Int64
}

func (d *disk) Write(p []byte) (int, error) {
	n := min(len(p), int(d.space.Load())-d.text.Len())
	d.text.Write(p[:n])
	if n < len(p) {
		return n, errors.New("no space left")
	}
	return n, nil
}

// TestTornLine verifies that the line after a torn one is whole, and that the torn one is lost. An outage of the sink is
// reported once a minute and at its end.
func TestTornLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		var lost atomic.Int64
		var said bytes.Buffer
		q := logqueue.New(logqueue.NewLines(d, false), logqueue.Options{
			Lost:      func(n int) { lost.Add(int64(n)) },
			Failed:    func(err error, n int) { fmt.Fprintf(&said, "%v, %d lost; ", err, n) },
			Recovered: func(n int) { fmt.Fprintf(&said, "well, %d lost; ", n) },
		})
		put := func(line string) {
			fmt.Fprintln(q, line)
			synctest.Wait()
		}
		d.space.Store(8)
		put("one")
		put("torn line")
		for range 5 {
			put("lost")
			time.Sleep(20 * time.Second)
		}
		d.space.Store(1000)
		put("two")
		if got, want := d.text.String(), "one\ntorn\ntwo\n"; got != want {
			t.Errorf("written %q, want %q", got, want)
		}
		if got, want := said.String(), "no space left, 1 lost; no space left, 4 lost; well, 1 lost; "; got != want || lost.Load() != 6 {
			t.Errorf("%d lines are lost; said %q, want %q", lost.Load(), got, want)
		}
		if err := q.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
