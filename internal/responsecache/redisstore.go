package responsecache

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// redisPause is how long reads do without Redis after it failed one of them.
	redisPause = time.Second
	// shelfPlaces bounds the commands under way: what is to be done at once by hundreds of
	// reads would wait for connections else, and be taken for Redis's own slowness.
	shelfPlaces = 8
	// turnTimeout bounds how long a command waits for its turn.
	turnTimeout = 300 * time.Millisecond
	// shareTimeout bounds what no read waits for.
	shareTimeout = time.Second
)

// errPaused: Redis failed others while this one waited for its turn, or kept them too long.
var errPaused = errors.New("responsecache: Redis is given a rest")

// redisStore is where answers lie in Redis. No caller is told of its errors.
type redisStore struct {
	client  redis.UniversalClient
	scripts scripts
	prefix  string
	timeout time.Duration
	lock    time.Duration
	start   time.Time
	places  chan struct{}
	paused  atomic.Int64 // until when after start, in nanoseconds
	allowed *quota
	failed  func(ctx context.Context, err error)
}

func newRedisStore(o Options, s scripts) *redisStore {
	start := time.Now()
	return &redisStore{
		client: o.Redis, scripts: s, prefix: o.Prefix, timeout: o.RedisTimeout, lock: o.LockWait, start: start,
		places: make(chan struct{}, shelfPlaces), allowed: newQuota(o.MaxBytes, start),
		failed: func(ctx context.Context, err error) {
			if o.Observe != nil {
				o.Observe(Event{Type: RedisFailed})
			}
			o.Logger.DebugContext(ctx, "responsecache: a Redis command failed", "error", err)
		},
	}
}

// open says whether Redis may be asked.
func (s *redisStore) open() bool { return int64(time.Since(s.start)) >= s.paused.Load() }

// note begins a pause after an error that is Redis's own.
func (s *redisStore) note(ctx context.Context, err error) {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, errPaused) {
		return
	}
	s.paused.Store(int64(time.Since(s.start) + redisPause))
	s.failed(ctx, err)
}

// acquire waits until another command may be sent; leave ends it.
func (s *redisStore) acquire(ctx context.Context) (leave func(), err error) {
	select {
	case s.places <- struct{}{}:
	default:
		timer := time.NewTimer(turnTimeout)
		defer timer.Stop()
		select {
		case s.places <- struct{}{}:
		case <-timer.C:
			return nil, errPaused
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if !s.open() {
		<-s.places
		return nil, errPaused
	}
	return func() { <-s.places }, nil
}

// keys are those of an answer and of the lock of its load, in one slot.
func (s *redisStore) keys(digest string) []string {
	return []string{s.prefix + "{" + digest + "}:v", s.prefix + "{" + digest + "}:l"}
}

// serverTime is a moment of the server's clock, between one of this process's and now.
type serverTime struct {
	server int64 // milliseconds
	sent   time.Time
}

// local returns what was begun, by the server's clock in milliseconds, by this
// process's: rather too early than too late.
func (m serverTime) local(begun int64) time.Time {
	return m.sent.Add(-time.Duration(m.server-begun+1) * time.Millisecond)
}

// lookup is what seek came to know.
type lookup struct {
	clock serverTime
	data  string // what lies under the name; empty: nothing
	held  bool   // the lock is the caller's
	busy  bool   // it is another's
}

// getOrLock returns what lies under a name, and whether it is being loaded. Where nothing of
// use is there, it takes the lock of the load for token, if that is free. Of no use is
// what the load known brought, if that is not 0; and with ahead, whatever it is.
func (s *redisStore) getOrLock(ctx context.Context, digest, token string, known uint64, ahead bool) (_ lookup, err error) {
	leave, err := s.acquire(ctx)
	if err != nil {
		return lookup{}, err
	}
	defer leave()
	defer func() { s.note(ctx, err) }()
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var id []byte
	if known != 0 {
		id = binary.BigEndian.AppendUint64(nil, known)
	}
	found := lookup{clock: serverTime{sent: time.Now()}}
	got, err := s.scripts.getOrLock.Run(bounded, s.client, s.keys(digest), token, max(1, s.lock.Milliseconds()), id, !ahead).Slice()
	if err != nil {
		return found, fmt.Errorf("ask Redis: %w", err)
	}
	if len(got) != 3 {
		return found, fmt.Errorf("ask Redis: %d values, not 3", len(got))
	}
	clock, ok := got[0].(int64)
	if !ok {
		return found, fmt.Errorf("ask Redis: its clock says %T", got[0])
	}
	found.clock.server = clock
	found.data, _ = got[1].(string)
	found.busy, found.held = got[2] == int64(1), got[2] == int64(2)
	return found, nil
}

// put lays down data until a moment of the server's clock, in milliseconds, and gives
// back the lock that is token's, if any.
func (s *redisStore) put(ctx context.Context, digest, token string, data []byte, until int64) {
	s.share(ctx, digest, token, "put", data, until)
}

// remove removes what lies under a name, and gives back the lock that is token's, if any.
func (s *redisStore) remove(ctx context.Context, digest, token string) {
	s.allowed.free(digest)
	s.share(ctx, digest, token, "remove")
}

// free gives back the lock that is token's; one that cannot be lapses.
func (s *redisStore) free(ctx context.Context, digest, token string) {
	s.share(ctx, digest, token, "")
}

func (s *redisStore) share(ctx context.Context, digest, token, what string, args ...any) {
	leave, err := s.acquire(ctx)
	if err != nil {
		return // a lock that is not given back lapses
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, max(shareTimeout, s.timeout))
	defer cancel()
	s.note(ctx, s.scripts.share.Run(ctx, s.client, s.keys(digest), append([]any{token, what}, args...)...).Err())
}
