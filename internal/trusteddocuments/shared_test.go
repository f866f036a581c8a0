package trusteddocuments

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/redistest"
)

// texts returns shared texts in a Redis server.
func texts(t *testing.T, server *redistest.Server) (*SharedTexts, redis.UniversalClient) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	return NewSharedTexts(client, slog.New(slog.DiscardHandler)), client
}

func TestTextsAreShared(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, client := texts(t, server)
	two, _ := texts(t, server)
	const text = "{ __typename }"
	hash := hashOf(text)
	if _, ok := two.Get(t.Context(), hash); ok {
		t.Error("an unknown text is found")
	}
	one.Add(t.Context(), hash, text)
	if got, ok := two.Get(t.Context(), hash); !ok || got != text {
		t.Errorf("%q, %v", got, ok)
	}
	if left := client.TTL(t.Context(), defaultPrefix+hash).Val(); left <= 0 || left > sharedLife {
		t.Errorf("it lasts %v", left)
	}
	long := strings.Repeat("x", maxSharedText+1)
	one.Add(t.Context(), hashOf(long), long)
	if _, ok := two.Get(t.Context(), hashOf(long)); ok {
		t.Error("a long text is shared")
	}
	other := hashOf("other")
	if err := client.Set(t.Context(), defaultPrefix+other, text, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if _, ok := two.Get(t.Context(), other); ok {
		t.Error("a text of another hash is found")
	}
	if _, ok := two.Get(t.Context(), "*"); ok {
		t.Error("a hash that is none is found")
	}
}

// TestRedisUnavailable verifies that Redis is not asked again at once after a failure, and that the text
// is sent later.
func TestRedisUnavailable(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s, _ := texts(t, server)
	server.Stop()
	const text = "{ __typename }"
	s.Add(t.Context(), hashOf(text), text)
	if s.pause.Ended() {
		t.Error("there is no pause after a failure")
	}
	if len(s.sent) != 0 {
		t.Error("a text that was not sent counts as sent")
	}
}

// TestTextSizeIsBounded verifies that callers cannot fill Redis.
func TestTextSizeIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewSharedTexts(nil, nil)
		sent := 0
		for i := range 1000 {
			if s.take(hashOf(strings.Repeat("x", i)), maxSharedText, time.Now()) {
				sent += maxSharedText
			}
		}
		if sent != maxSharedHour {
			t.Errorf("%d bytes in an hour", sent)
		}
		time.Sleep(time.Hour)
		for i := range 100_000 {
			s.take(hashOf(fmt.Sprint(i)), 1, time.Now())
		}
		if len(s.sent) != maxSharedHour/minSharedText {
			t.Errorf("%d texts in memory", len(s.sent))
		}
		time.Sleep(time.Hour)
		if hash := hashOf("x"); !s.take(hash, 1, time.Now()) || s.take(hash, 1, time.Now()) {
			t.Error("a text is not sent once in the next hour")
		}
	})
}
