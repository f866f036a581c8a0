package edge

import (
	"context"
	"io"
	"sync"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
)

const (
	// anonymousBytes bounds the bytes of such requests that are held at once.
	anonymousBytes = 4 << 20
	// bodyPoolBytes bounds the bytes of all requests that are held at once, if it is not less
	// than four of the longest.
	bodyPoolBytes = 64 << 20
	// busySeconds is after how long a request that was refused may be sent again.
	busySeconds = 1
)

// errBusy refuses a request for which there is no memory.
var errBusy = fault.New(fault.RateLimited, "the gateway holds as many requests as it can: send this one again")

// bodyPool counts the bytes of requests that are held in memory, from when they are read until
// they are answered.
type bodyPool struct {
	mu             sync.Mutex
	anonymous, all int64
	most           int64
}

// held is what one request holds of the pool.
type held struct {
	pool      *bodyPool
	anonymous bool
	bytes     int64
}

// newBodyPool returns a pool of bodyPoolBytes, or of atLeast if that is more.
func newBodyPool(atLeast int64) *bodyPool { return &bodyPool{most: max(bodyPoolBytes, atLeast)} }

// begin counts a request of the caller in ctx. release must be called in the end.
func (p *bodyPool) begin(ctx context.Context) *held {
	return &held{pool: p, anonymous: isAnonymous(ctx)}
}

// isAnonymous says that the caller in ctx has shown no credentials, and stands for nobody.
func isAnonymous(ctx context.Context) bool { return principal.FromContext(ctx).Name() == "" }

// take counts n more bytes, or fails with errBusy.
func (h *held) take(n int64) error {
	h.pool.mu.Lock()
	defer h.pool.mu.Unlock()
	if h.pool.all+n > h.pool.most || h.anonymous && h.pool.anonymous+n > anonymousBytes {
		return errBusy
	}
	h.pool.all += n
	if h.anonymous {
		h.pool.anonymous += n
	}
	h.bytes += n
	return nil
}

// release gives back what was counted.
func (h *held) release() {
	h.pool.mu.Lock()
	defer h.pool.mu.Unlock()
	h.pool.all -= h.bytes
	if h.anonymous {
		h.pool.anonymous -= h.bytes
	}
	h.bytes = 0
}

// identify gives back what was counted, and counts for the caller in ctx from now on.
func (h *held) identify(ctx context.Context) {
	h.release()
	h.anonymous = isAnonymous(ctx)
}

// reader counts what is read from r, which is kept.
func (h *held) reader(r io.Reader) io.Reader { return heldReader{r, h} }

type heldReader struct {
	io.Reader
	held *held
}

// Read reads on, while there is memory.
func (r heldReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if busy := r.held.take(int64(n)); busy != nil {
		return 0, busy
	}
	return n, err //nolint:wrapcheck // the reader's
}

type heldKey struct{}

// withHeld is ctx with what its request holds.
func withHeld(ctx context.Context, h *held) context.Context {
	return context.WithValue(ctx, heldKey{}, h)
}

// heldOf is what the request in ctx holds.
func heldOf(ctx context.Context) *held {
	h, ok := ctx.Value(heldKey{}).(*held)
	if !ok {
		return (&bodyPool{most: bodyPoolBytes}).begin(ctx) // of a handler that stands alone
	}
	return h
}
