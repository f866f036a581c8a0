package responsecache

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/backoff"
)

const (
	// redisPause is how long reads do not use Redis after a command failed.
	redisPause = time.Second
	// maxCommands bounds the commands under way. Otherwise, hundreds of reads at once would
	// wait for connections, and that would look like a slow Redis.
	maxCommands = 8
	// acquireTimeout bounds how long a command waits until it may be sent.
	acquireTimeout = 300 * time.Millisecond
	// shareTimeout bounds commands that no read waits for.
	shareTimeout = time.Second
)

// errPaused is the error of a command that was not sent, since Redis failed others or all
// places were taken for too long.
var errPaused = errors.New("responsecache: Redis is paused after a failure")

// redisStore keeps entries in Redis. Its callers treat every error as a miss.
type redisStore struct {
	client    redis.UniversalClient
	scripts   scripts
	prefix    string
	timeout   time.Duration
	lock      time.Duration
	semaphore chan struct{}
	pause     backoff.Pause
	storage   *storageLimit
	failed    func(ctx context.Context, err error)
}

func newRedisStore(o Options, s scripts) *redisStore {
	return &redisStore{
		client: o.Redis, scripts: s, prefix: o.Prefix, timeout: o.redisTimeout, lock: o.lockWait,
		semaphore: make(chan struct{}, maxCommands), storage: newStorageLimit(o.MaxBytes, time.Now()),
		failed: func(ctx context.Context, err error) {
			if o.Observe != nil {
				o.Observe(Event{Type: RedisFailed})
			}
			o.Logger.DebugContext(ctx, "responsecache: a Redis command failed", "error", err)
		},
	}
}

// open reports whether Redis may be used.
func (s *redisStore) open() bool { return s.pause.Ended() }

// note begins a pause after an error of Redis itself.
func (s *redisStore) note(ctx context.Context, err error) {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, errPaused) {
		return
	}
	s.pause.Start(redisPause)
	s.failed(ctx, err)
}

// acquire waits until another command may be sent. leave must be called after it.
func (s *redisStore) acquire(ctx context.Context) (leave func(), err error) {
	select {
	case s.semaphore <- struct{}{}:
	default:
		timer := time.NewTimer(acquireTimeout)
		defer timer.Stop()
		select {
		case s.semaphore <- struct{}{}:
		case <-timer.C:
			return nil, errPaused
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if !s.open() {
		<-s.semaphore
		return nil, errPaused
	}
	return func() { <-s.semaphore }, nil
}

// keys returns the keys of an entry and of its load's lock, in one slot of Redis Cluster.
func (s *redisStore) keys(digest string) []string {
	return []string{s.prefix + "{" + digest + "}:v", s.prefix + "{" + digest + "}:l"}
}

// serverTime is a time of the server's clock. It lies between sent and now.
type serverTime struct {
	server int64 // milliseconds
	sent   time.Time
}

// local converts a time of the server's clock (milliseconds) to this process's clock. It is
// rather too early than too late.
func (t serverTime) local(begun int64) time.Time {
	return t.sent.Add(-time.Duration(t.server-begun+1) * time.Millisecond)
}

// lookup is the result of getOrLock.
type lookup struct {
	clock  serverTime
	data   string // the entry; empty: there is none
	locked bool   // the caller holds the lock
	busy   bool   // another replica holds the lock
}

// getOrLock returns the entry of a name, and whether it is being loaded. If there is no usable
// entry, it takes the lock of the load for token, if that is free. The entry of the load known
// is not usable, and with reload none is.
func (s *redisStore) getOrLock(ctx context.Context, digest, token string, known uint64, reload bool) (_ lookup, err error) {
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
	got, err := s.scripts.getOrLock.Run(bounded, s.client, s.keys(digest), token, max(1, s.lock.Milliseconds()), id, !reload).Slice()
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
	found.busy, found.locked = got[2] == int64(1), got[2] == int64(2)
	return found, nil
}

// put writes data until a time of the server's clock, in milliseconds, and releases token's
// lock, if there is one.
func (s *redisStore) put(ctx context.Context, digest, token string, data []byte, until int64) {
	s.share(ctx, digest, token, "put", data, until)
}

// remove removes an entry, and releases token's lock, if there is one.
func (s *redisStore) remove(ctx context.Context, digest, token string) {
	s.storage.free(digest)
	s.share(ctx, digest, token, "remove")
}

// free releases token's lock. If that fails, the lock expires.
func (s *redisStore) free(ctx context.Context, digest, token string) {
	s.share(ctx, digest, token, "")
}

func (s *redisStore) share(ctx context.Context, digest, token, what string, args ...any) {
	leave, err := s.acquire(ctx)
	if err != nil {
		return // a lock that is not released expires
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, max(shareTimeout, s.timeout))
	defer cancel()
	s.note(ctx, s.scripts.share.Run(ctx, s.client, s.keys(digest), append([]any{token, what}, args...)...).Err())
}
