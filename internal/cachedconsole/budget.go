package cachedconsole

import (
	"context"
	"errors"

	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/responsecache"
)

// errNotCached reports that a read needs a call of the console.
var errNotCached = errors.New("cachedconsole: the answer is not in memory")

type probeKey struct{}

// Cached reports whether memory answers every read that the function makes through c. It sends nothing to the console
// or to Redis. The reads return zero values.
func (c *Console) Cached(ctx context.Context, read func(ctx context.Context) error) bool {
	return read(context.WithValue(ctx, probeKey{}, true)) == nil
}

// isProbe reports whether ctx comes from Cached.
func isProbe(ctx context.Context) bool { return ctx.Value(probeKey{}) != nil }

// probe returns nil if memory answers req.
func probe[T any](v *responsecache.View[T], req request[T], opts operation.ReadOptions, identity string) error {
	if v == nil || !v.InMemory(req.readWith(opts, identity)) {
		return errNotCached
	}
	return nil
}
