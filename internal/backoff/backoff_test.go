package backoff_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/backoff"
)

func TestExponential(t *testing.T) {
	for name, c := range map[string]struct {
		initial, limit time.Duration
		n              int
		want           time.Duration
	}{
		"first":             {time.Second, time.Minute, 0, time.Second},
		"second":            {time.Second, time.Minute, 1, 2 * time.Second},
		"fifth":             {time.Second, time.Minute, 4, 16 * time.Second},
		"limit":             {time.Second, time.Minute, 6, time.Minute},
		"far beyond":        {time.Second, time.Minute, math.MaxInt, time.Minute},
		"negative":          {time.Second, time.Minute, -1, time.Second},
		"initial too large": {time.Hour, time.Minute, 0, time.Minute},
		"no overflow":       {time.Hour, math.MaxInt64, 1000, math.MaxInt64},
		"none":              {0, time.Minute, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := backoff.Exponential(c.initial, c.limit, c.n); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestJitter(t *testing.T) {
	const d, tries = 1000 * time.Hour, 10_000
	for name, c := range map[string]struct {
		draw     func() time.Duration
		from, to time.Duration
	}{
		"full":       {func() time.Duration { return backoff.FullJitter(d) }, 0, d},
		"half":       {func() time.Duration { return backoff.Jitter(d, 0.5) }, d / 2, d},
		"spread":     {func() time.Duration { return backoff.Spread(d, 0.1) }, d * 9 / 10, d * 11 / 10},
		"spread 0":   {func() time.Duration { return backoff.Spread(d, 0) }, d, d},
		"spread < 0": {func() time.Duration { return backoff.Spread(-d, 0.5) }, -d, -d},
		"none":       {func() time.Duration { return backoff.Jitter(d, 0) }, d, d},
		"of none":    {func() time.Duration { return backoff.FullJitter(0) }, 0, 0},
		"too short":  {func() time.Duration { return backoff.FullJitter(-time.Second) }, -time.Second, -time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			least, most := time.Duration(math.MaxInt64), time.Duration(math.MinInt64)
			for range tries {
				got := c.draw()
				least, most = min(least, got), max(most, got)
			}
			if least < c.from || most > c.to {
				t.Errorf("between %v and %v, want between %v and %v", least, most, c.from, c.to)
			}
			if width := c.to - c.from; most-least < width*9/10 {
				t.Errorf("between %v and %v, which is little of %v to %v", least, most, c.from, c.to)
			}
		})
	}
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		if !backoff.Wait(t.Context(), time.Hour) {
			t.Error("false, though ctx lives")
		}
		if waited := time.Since(begun); waited != time.Hour {
			t.Errorf("waited for %v", waited)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begun = time.Now()
		if backoff.Wait(ctx, time.Hour) {
			t.Error("true, though ctx ended")
		}
		if waited := time.Since(begun); waited != time.Minute {
			t.Errorf("waited for %v", waited)
		}
	})
}
