package chaos

import (
	"time"

	"github.com/redis/go-redis/v9"
)

// inRedis sends a command to Redis.
func (w *world) inRedis(command ...any) {
	w.t.Helper()
	c := redis.NewClient(&redis.Options{Addr: w.redis.Addr()})
	defer c.Close()
	if err := c.Do(w.t.Context(), command...).Err(); err != nil {
		w.t.Fatal(err)
	}
}

func redisRows() []row {
	with := func(name string, want cells, begin func(*world)) row {
		return row{name: "Redis: " + name, needs: needs{redis: true}, begin: begin, want: want}
	}
	// A key is claimed in Redis before anything is sent.
	unclaimed := works()
	unclaimed.keyed = cell{code: unavailable, outcome: notSent, executed: 1}
	return []row{
		withOrdinaryTests(with("killed", unclaimed, func(w *world) { w.redis.Stop(); w.onHeal(w.redis.Restart) })),
		with("frozen", unclaimed, func(w *world) { w.redis.Pause(); w.onHeal(w.redis.Resume) }),
		with("unreachable", unclaimed, func(w *world) {
			w.store.Refuse()
			w.onHeal(func() {
				if err := w.store.Restore(); err != nil {
					w.t.Error(err)
				}
			})
		}),
		with("slow", works(), func(w *world) { w.store.Delay(100 * time.Millisecond); w.onHeal(func() { w.store.Delay(0) }) }),
		with("full", unclaimed, func(w *world) {
			w.inRedis("CONFIG", "SET", "maxmemory", "1")
			w.onHeal(func() { w.inRedis("CONFIG", "SET", "maxmemory", "0") })
		}),
		with("read-only", unclaimed, func(w *world) {
			w.inRedis("REPLICAOF", "127.0.0.1", "1")
			w.onHeal(func() { w.inRedis("REPLICAOF", "NO", "ONE") })
		}),
		{name: "Redis: its master is lost", needs: needs{sentinel: true}, want: unclaimed, begin: func(w *world) {
			w.group.Masters[0].Stop()
			w.onHeal(func() { w.group.AwaitPromotion(0) })
		}},
		with("emptied", works(), func(w *world) { w.inRedis("FLUSHALL") }),
	}
}
