package graphqlhttp

import (
	"context"
	"io"
	"sync"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/quota"
)

const (
	// AnonymousBytes bounds the memory for requests of anonymous callers.
	AnonymousBytes = 4 << 20
	// BodyPoolBytes bounds the memory for all requests, unless four of the longest need more.
	BodyPoolBytes = 64 << 20
	// SmallBytes is the size of a small request.
	SmallBytes = 16 << 10
)

// ErrBusy reports that there is no memory for a request.
var ErrBusy = fault.New(fault.RateLimited, "the gateway holds as many requests as it can: send this one again")

// BodyPool counts the bytes of requests that are in memory, from their reading to their answer. Each caller has a share of them.
// Bearer tokens that only the console or the store can check have at most half of the pool together, since anybody can make
// such tokens. The first SmallBytes of their requests do not count there.
type BodyPool struct{ all, unverified, anonymous quota.Quota }

// Reservation is the share of one request in the pool. It is safe for concurrent use: a WebSocket outlives the handler of its
// request.
type Reservation struct {
	pool *BodyPool

	mu      sync.Mutex
	charges []charge
	bytes   int
}

// charge is a quota of which a reservation takes its bytes.
type charge struct {
	quota  *quota.Quota
	caller string
	free   int // first bytes that do not count
}

// counted returns how many of a reservation's bytes count.
func (c charge) counted(bytes int) int { return max(0, bytes-c.free) }

// NewBodyPool returns a pool of BodyPoolBytes, or of atLeast if that is more.
func NewBodyPool(atLeast int64) *BodyPool {
	most := int(max(BodyPoolBytes, atLeast))
	return &BodyPool{
		all: quota.Quota{Total: most}, unverified: quota.Quota{Total: most / 2},
		anonymous: quota.Quota{Total: most, PerCaller: AnonymousBytes},
	}
}

// Begin returns an empty reservation for the caller in ctx. The caller must call Release.
func (p *BodyPool) Begin(ctx context.Context) *Reservation {
	reservation := &Reservation{pool: p}
	reservation.Identify(ctx)
	return reservation
}

// Next returns an empty reservation for the same caller. The caller must call Release.
func (res *Reservation) Next() *Reservation {
	res.mu.Lock()
	defer res.mu.Unlock()
	return &Reservation{pool: res.pool, charges: res.charges}
}

// IsAnonymous reports whether the caller in ctx has presented no credentials.
func IsAnonymous(ctx context.Context) bool { return principal.FromContext(ctx).Name() == "" }

// Identify returns all reserved bytes, and charges the caller in ctx from now on.
func (res *Reservation) Identify(ctx context.Context) {
	res.mu.Lock()
	defer res.mu.Unlock()
	res.release()
	who, caller := principal.FromContext(ctx), principal.Caller(ctx)
	switch {
	case IsAnonymous(ctx):
		res.charges = []charge{{&res.pool.anonymous, caller, 0}, {&res.pool.all, caller, 0}}
	case who.Proven():
		res.charges = []charge{{&res.pool.all, caller, 0}}
	default:
		res.charges = []charge{{&res.pool.unverified, caller, SmallBytes}, {&res.pool.all, caller, 0}}
	}
}

// Take reserves n more bytes, or fails with ErrBusy.
func (res *Reservation) Take(n int) error {
	res.mu.Lock()
	defer res.mu.Unlock()
	for i, p := range res.charges {
		if !p.quota.Take(p.caller, p.counted(res.bytes+n)-p.counted(res.bytes)) {
			for _, taken := range res.charges[:i] {
				taken.quota.Release(taken.caller, taken.counted(res.bytes+n)-taken.counted(res.bytes))
			}
			return ErrBusy
		}
	}
	res.bytes += n
	return nil
}

// Return returns n reserved bytes to the pool, or all that are left after a Release.
func (res *Reservation) Return(n int) {
	res.mu.Lock()
	defer res.mu.Unlock()
	n = min(n, res.bytes)
	for _, p := range res.charges {
		p.quota.Release(p.caller, p.counted(res.bytes)-p.counted(res.bytes-n))
	}
	res.bytes -= n
}

// Release returns all reserved bytes to the pool.
func (res *Reservation) Release() {
	res.mu.Lock()
	defer res.mu.Unlock()
	res.release()
}

// release is Release for a caller that holds mu.
func (res *Reservation) release() {
	for _, p := range res.charges {
		p.quota.Release(p.caller, p.counted(res.bytes))
	}
	res.bytes = 0
}

// Reader returns a reader that reserves memory for the bytes it reads from r.
func (res *Reservation) Reader(r io.Reader) io.Reader { return reservedReader{r, res} }

type reservedReader struct {
	io.Reader
	reservation *Reservation
}

// Read reads the next bytes, if there is memory.
func (r reservedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if busy := r.reservation.Take(n); busy != nil {
		return 0, busy
	}
	return n, err //nolint:wrapcheck // from the reader
}

type reservationKey struct{}

// WithReservation returns ctx with the request's reservation.
func WithReservation(ctx context.Context, reservation *Reservation) context.Context {
	return context.WithValue(ctx, reservationKey{}, reservation)
}

// ReservationOf returns the reservation of the request in ctx.
func ReservationOf(ctx context.Context) *Reservation {
	reservation, ok := ctx.Value(reservationKey{}).(*Reservation)
	if !ok {
		return NewBodyPool(0).Begin(ctx) // only in tests of a single handler
	}
	return reservation
}
