package e2e

import (
	"bytes"
	"sync"
)

// maxLog bounds what a LockedBuffer holds, in bytes: a gateway under load logs a line for each request.
const maxLog = 64 << 20

// LockedBuffer is a buffer of bounded length that drops its oldest bytes. It is safe for concurrent use.
type LockedBuffer struct {
	mu    sync.Mutex
	b     bytes.Buffer
	flush func() // waits for the lines of a logger; nil: there are none
}

func (b *LockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.b.Len()+len(p) > maxLog {
		b.b.Next(b.b.Len() / 2)
	}
	return b.b.Write(p)
}

func (b *LockedBuffer) String() string {
	if b.flush != nil {
		b.flush()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
