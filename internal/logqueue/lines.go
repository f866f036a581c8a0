package logqueue

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
)

// Lines is a sink of whole lines. If a write ends within a line, for example on a full disk, the next write begins a new
// line. It is safe for concurrent use.
type Lines struct {
	mu   sync.Mutex
	w    io.Writer
	torn atomic.Bool
}

// NewLines returns a sink that writes to w. torn tells that w ends within a line.
func NewLines(w io.Writer, torn bool) *Lines {
	l := &Lines{w: w}
	l.torn.Store(torn)
	return l
}

// Torn reports whether the last write ended within a line.
func (l *Lines) Torn() bool { return l.torn.Load() }

// Write writes whole lines. It returns the number of bytes of p that were written.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.torn.Load() {
		if _, err := l.w.Write([]byte("\n")); err != nil {
			return 0, err //nolint:wrapcheck // the sink's error
		}
		l.torn.Store(false)
	}
	n, err := l.w.Write(p)
	if n > 0 {
		l.torn.Store(!bytes.HasSuffix(p[:n], []byte("\n")))
	}
	return n, err //nolint:wrapcheck // the sink's error
}
