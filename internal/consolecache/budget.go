package consolecache

import (
	"context"
	"errors"

	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/trail"
)

// errNotCached says that a call of the console is needed.
var errNotCached = errors.New("consolecache: the answer is not in memory")

type probeKey struct{}

// Cached reports whether the memory of this process answers all that read asks of c, so that it takes no call of the
// console. It sends nothing, neither to the console nor to Redis, and read gets empty answers.
func (c *Console) Cached(ctx context.Context, read func(ctx context.Context) error) bool {
	return read(context.WithValue(ctx, probeKey{}, true)) == nil
}

// isProbe reports whether a read in ctx is one of Cached.
func isProbe(ctx context.Context) bool { return ctx.Value(probeKey{}) != nil }

// probe is nil if v answers q from memory.
func probe[T any](v *responsecache.View[T], q request[T], opts trail.ReadOptions, who string) error {
	if v == nil || !v.Holds(q.readWith(opts, who)) {
		return errNotCached
	}
	return nil
}
