package responsecache

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisPause is how long reads do without Redis after it failed one of them.
const redisPause = time.Second

// shelf is where answers lie in Redis. No caller is told of its errors.
type shelf struct {
	client  redis.UniversalClient
	scripts scripts
	prefix  string
	timeout time.Duration
	lock    time.Duration
	start   time.Time
	paused  atomic.Int64 // until when after start, in nanoseconds
	failed  func(ctx context.Context, err error)
}

func newShelf(o Options, s scripts) *shelf {
	return &shelf{
		client: o.Redis, scripts: s, prefix: o.Prefix, timeout: o.RedisTimeout, lock: o.LockWait, start: time.Now(),
		failed: func(ctx context.Context, err error) {
			if o.Observe != nil {
				o.Observe(Event{Type: RedisFailed})
			}
			o.Logger.DebugContext(ctx, "responsecache: a Redis command failed", "error", err)
		},
	}
}

// open says whether Redis may be asked.
func (s *shelf) open() bool { return int64(time.Since(s.start)) >= s.paused.Load() }

// note begins a pause after an error that is Redis's own.
func (s *shelf) note(ctx context.Context, err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	s.paused.Store(int64(time.Since(s.start) + redisPause))
	s.failed(ctx, err)
}

// keys are those of an answer and of the lock of its load, in one slot.
func (s *shelf) keys(digest string) []string {
	return []string{s.prefix + "{" + digest + "}:v", s.prefix + "{" + digest + "}:l"}
}

// moment is a moment of the server's clock, between one of this process's and now.
type moment struct {
	server int64 // milliseconds
	sent   time.Time
}

// local returns what was begun, by the server's clock in milliseconds, by this
// process's: rather too early than too late.
func (m moment) local(begun int64) time.Time {
	return m.sent.Add(-time.Duration(m.server-begun+1) * time.Millisecond)
}

// find returns what lies under a name (empty: nothing), and whether it is being loaded.
func (s *shelf) find(ctx context.Context, digest string) (_ moment, data string, locked bool, err error) {
	return s.ask(ctx, s.scripts.find, digest)
}

// take takes the lock of a load, if it is free.
func (s *shelf) take(ctx context.Context, digest, token string) (_ moment, held bool, err error) {
	m, _, held, err := s.ask(ctx, s.scripts.lock, digest, token, max(1, s.lock.Milliseconds()))
	return m, held, err
}

// ask runs find or lock.
func (s *shelf) ask(ctx context.Context, script *redis.Script, digest string, args ...any) (m moment, data string, yes bool, err error) {
	defer func() { s.note(ctx, err) }()
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	m.sent = time.Now()
	got, err := script.Run(bounded, s.client, s.keys(digest), args...).Slice()
	if err != nil {
		return m, "", false, fmt.Errorf("ask Redis: %w", err)
	}
	if len(got) != 3 {
		return m, "", false, fmt.Errorf("ask Redis: %d values, not 3", len(got))
	}
	clock, ok := got[0].(int64)
	if !ok {
		return m, "", false, fmt.Errorf("ask Redis: its clock says %T", got[0])
	}
	m.server = clock
	data, _ = got[1].(string)
	return m, data, got[2] == int64(1), nil
}

// put lays down data until a moment of the server's clock, in milliseconds.
func (s *shelf) put(ctx context.Context, digest string, data []byte, until int64) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	s.note(ctx, s.client.Do(ctx, "SET", s.keys(digest)[0], data, "PXAT", until).Err())
}

// remove removes what lies under a name.
func (s *shelf) remove(ctx context.Context, digest string) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	s.note(ctx, s.client.Del(ctx, s.keys(digest)[0]).Err())
}

// free gives a lock back; one that cannot be lapses.
func (s *shelf) free(ctx context.Context, digest, token string) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	s.note(ctx, s.scripts.unlock.Run(ctx, s.client, s.keys(digest)[1:], token).Err())
}
