package gateway

import (
	"bytes"
	"log/slog"
	"math"
	"testing"
)

func TestCachesFitMemory(t *testing.T) {
	for name, c := range map[string]struct {
		limit                  int64
		cache, answers         uint64
		wantCache, wantAnswers uint64
		wantLog                bool
	}{
		"no limit":            {math.MaxInt64, 256 << 20, 64 << 20, 256 << 20, 64 << 20, false},
		"room enough":         {512 << 20, 256 << 20, 64 << 20, 256 << 20, 64 << 20, false},
		"a small container":   {128 << 20, 256 << 20, 64 << 20, 64 << 20, 16 << 20, true},
		"one of them too big": {512 << 20, 1 << 30, 8 << 20, 256 << 20, 8 << 20, true},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			settings := Caching{CacheBytes: c.cache, AnswerBytes: c.answers}
			settings.Fit(c.limit, slog.New(slog.NewTextHandler(&log, nil)))
			if settings.CacheBytes != c.wantCache || settings.AnswerBytes != c.wantAnswers {
				t.Errorf("cache %d, answers %d", settings.CacheBytes, settings.AnswerBytes)
			}
			if said := log.Len() > 0; said != c.wantLog {
				t.Errorf("logged %q", &log)
			}
		})
	}
}
