package graphqlhttp

import (
	"context"
	"io"
	"sync"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
)

const (
	// AnonymousBytes bounds the memory for requests of anonymous callers.
	AnonymousBytes = 4 << 20
	// BodyPoolBytes bounds the memory for all requests, unless four of the longest need more.
	BodyPoolBytes = 64 << 20
)

// ErrBusy reports that there is no memory for a request.
var ErrBusy = fault.New(fault.RateLimited, "the gateway holds as many requests as it can: send this one again")

// BodyPool counts the bytes of requests that are in memory, from their reading to their
// answer.
type BodyPool struct {
	mu             sync.Mutex
	anonymous, all int64
	most           int64
}

// Reservation is the share of one request in the pool.
type Reservation struct {
	pool      *BodyPool
	anonymous bool
	bytes     int64
}

// NewBodyPool returns a pool of BodyPoolBytes, or of atLeast if that is more.
func NewBodyPool(atLeast int64) *BodyPool { return &BodyPool{most: max(BodyPoolBytes, atLeast)} }

// Begin returns an empty reservation for the caller in ctx. The caller must call Release.
func (p *BodyPool) Begin(ctx context.Context) *Reservation {
	return &Reservation{pool: p, anonymous: IsAnonymous(ctx)}
}

// IsAnonymous reports whether the caller in ctx has presented no credentials.
func IsAnonymous(ctx context.Context) bool { return principal.FromContext(ctx).Name() == "" }

// take reserves n more bytes, or fails with ErrBusy.
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

// Release returns all reserved bytes to the pool.
func (h *Reservation) Release() {
	h.pool.mu.Lock()
	defer h.pool.mu.Unlock()
	h.pool.all -= h.bytes
	if h.anonymous {
		h.pool.anonymous -= h.bytes
	}
	h.bytes = 0
}

// Identify returns all reserved bytes, and charges the caller in ctx from now on.
func (h *Reservation) Identify(ctx context.Context) {
	h.Release()
	h.anonymous = IsAnonymous(ctx)
}

// Reader returns a reader that reserves memory for the bytes it reads from r.
func (h *Reservation) Reader(r io.Reader) io.Reader { return reservedReader{r, h} }

type reservedReader struct {
	io.Reader
	reservation *Reservation
}

// Read reads the next bytes, if there is memory.
func (r reservedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if busy := r.reservation.take(int64(n)); busy != nil {
		return 0, busy
	}
	return n, err //nolint:wrapcheck // from the reader
}

type reservationKey struct{}

// WithReservation returns ctx with the request's reservation.
func WithReservation(ctx context.Context, h *Reservation) context.Context {
	return context.WithValue(ctx, reservationKey{}, h)
}

// ReservationOf returns the reservation of the request in ctx.
func ReservationOf(ctx context.Context) *Reservation {
	h, ok := ctx.Value(reservationKey{}).(*Reservation)
	if !ok {
		return (&BodyPool{most: BodyPoolBytes}).Begin(ctx) // only in tests of a single handler
	}
	return h
}
