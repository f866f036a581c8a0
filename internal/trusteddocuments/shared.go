package trusteddocuments

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/backoff"
)

const (
	// defaultPrefix begins the names of the texts in Redis.
	defaultPrefix = "consoleql:apq:"
	// sharedLife is how long Redis holds a text.
	sharedLife = 24 * time.Hour
	// maxSharedText bounds a shared text, in bytes.
	maxSharedText = 64 << 10
	// maxSharedHour bounds the texts that this process sends to Redis in an hour, in bytes.
	maxSharedHour = 1 << 20
	// minSharedText is what a short text counts for, with its hash here and in Redis.
	minSharedText = 256
	// sharedTimeout bounds a command. A request waits for it.
	sharedTimeout = 250 * time.Millisecond
	// sharedPause is how long Redis is not asked after a command failed.
	sharedPause = time.Second
)

// SharedTexts keeps the texts of automatic persisted queries in Redis, for all replicas. If Redis
// fails, a text is unknown, and the client sends it again. It is safe for concurrent use.
type SharedTexts struct {
	client redis.UniversalClient
	log    *slog.Logger
	pause  backoff.Pause

	mu    sync.Mutex
	hour  time.Time       // begin of the present hour
	sent  map[string]bool // hashes of texts sent in the present hour
	bytes int             // of these texts
}

// NewSharedTexts returns the texts in the client's Redis. The caller closes the client.
func NewSharedTexts(client redis.UniversalClient, log *slog.Logger) *SharedTexts {
	return &SharedTexts{client: client, log: log}
}

// Get returns the text of a hash in hexadecimal.
func (s *SharedTexts) Get(ctx context.Context, hash string) (string, bool) {
	if raw, err := hex.DecodeString(hash); err != nil || len(raw) != sha256.Size || !s.pause.Ended() {
		return "", false
	}
	ctx, cancel := context.WithTimeout(ctx, sharedTimeout)
	defer cancel()
	text, err := s.client.Get(ctx, defaultPrefix+hash).Result()
	if errors.Is(err, redis.Nil) || s.failed(ctx, err) {
		return "", false
	}
	return text, hashOf(text) == hash // another program may write to this Redis
}

// Add shares a text. It ignores long texts, and all texts once this process has shared many in an
// hour: callers choose them, and Redis must not evict.
func (s *SharedTexts) Add(ctx context.Context, hash, text string) {
	if len(text) > maxSharedText || !s.pause.Ended() || !s.take(hash, len(text), time.Now()) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sharedTimeout)
	defer cancel()
	if s.failed(ctx, s.client.Set(ctx, defaultPrefix+hash, text, sharedLife).Err()) {
		s.mu.Lock()
		delete(s.sent, hash)
		s.mu.Unlock()
	}
}

// take reports whether a text may be sent: once an hour, within the bound of the hour.
func (s *SharedTexts) take(hash string, size int, now time.Time) bool {
	size = max(size, minSharedText)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent == nil || now.Sub(s.hour) >= time.Hour {
		s.hour, s.sent, s.bytes = now, make(map[string]bool), 0
	}
	if s.sent[hash] || s.bytes+size > maxSharedHour {
		return false
	}
	s.sent[hash] = true
	s.bytes += size
	return true
}

// failed reports whether a command failed. Redis is not asked for a while then.
func (s *SharedTexts) failed(ctx context.Context, err error) bool {
	if err == nil {
		return false
	}
	if !errors.Is(err, context.Canceled) {
		s.pause.Start(sharedPause)
		s.log.DebugContext(ctx, "the texts of persisted queries are not shared", "error", err)
	}
	return true
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
