package graphqlhttp

import (
	"context"
	"io"
	"sync"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
)

const (
	// AnonymousBytes bounds the bytes of such requests that are held at once.
	AnonymousBytes = 4 << 20
	// BodyPoolBytes bounds the bytes of all requests that are held at once, if it is not less
	// than four of the longest.
	BodyPoolBytes = 64 << 20
	// busySeconds is after how long a request that was refused may be sent again.
	busySeconds = 1
)

// ErrBusy refuses a request for which there is no memory.
var ErrBusy = fault.New(fault.RateLimited, "the gateway holds as many requests as it can: send this one again")

// BodyPool counts the bytes of requests that are held in memory, from when they are read until
// they are answered.
type BodyPool struct {
	mu             sync.Mutex
	anonymous, all int64
	most           int64
}

// Reservation is what one request holds of the pool.
type Reservation struct {
	pool      *BodyPool
	anonymous bool
	bytes     int64
}

// NewBodyPool returns a pool of bodyPoolBytes, or of atLeast if that is more.
func NewBodyPool(atLeast int64) *BodyPool { return &BodyPool{most: max(BodyPoolBytes, atLeast)} }

// Begin counts a request of the caller in ctx. release must be called in the end.
func (p *BodyPool) Begin(ctx context.Context) *Reservation {
	return &Reservation{pool: p, anonymous: IsAnonymous(ctx)}
}

// IsAnonymous says that the caller in ctx has shown no credentials, and stands for nobody.
func IsAnonymous(ctx context.Context) bool { return principal.FromContext(ctx).Name() == "" }

// take counts n more bytes, or fails with errBusy.
func (h *Reservation) take(n int64) error {
	h.pool.mu.Lock()
	defer h.pool.mu.Unlock()
	if h.pool.all+n > h.pool.most || h.anonymous && h.pool.anonymous+n > AnonymousBytes {
		return ErrBusy
	}
	h.pool.all += n
	if h.anonymous {
		h.pool.anonymous += n
	}
	h.bytes += n
	return nil
}

// Release gives back what was counted.
func (h *Reservation) Release() {
	h.pool.mu.Lock()
	defer h.pool.mu.Unlock()
	h.pool.all -= h.bytes
	if h.anonymous {
		h.pool.anonymous -= h.bytes
	}
	h.bytes = 0
}

// Identify gives back what was counted, and counts for the caller in ctx from now on.
func (h *Reservation) Identify(ctx context.Context) {
	h.Release()
	h.anonymous = IsAnonymous(ctx)
}

// Reader counts what is read from r, which is kept.
func (h *Reservation) Reader(r io.Reader) io.Reader { return reservedReader{r, h} }

type reservedReader struct {
	io.Reader
	reservation *Reservation
}

// Read reads on, while there is memory.
func (r reservedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if busy := r.reservation.take(int64(n)); busy != nil {
		return 0, busy
	}
	return n, err //nolint:wrapcheck // the reader's
}

type reservationKey struct{}

// WithReservation is ctx with what its request holds.
func WithReservation(ctx context.Context, h *Reservation) context.Context {
	return context.WithValue(ctx, reservationKey{}, h)
}

// ReservationOf is what the request in ctx holds.
func ReservationOf(ctx context.Context) *Reservation {
	h, ok := ctx.Value(reservationKey{}).(*Reservation)
	if !ok {
		return (&BodyPool{most: BodyPoolBytes}).Begin(ctx) // of a handler that stands alone
	}
	return h
}
