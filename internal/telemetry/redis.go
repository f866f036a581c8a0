package telemetry

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// redisMetrics are the figures of what is asked of Redis, by whichever part of the gateway.
type redisMetrics struct{ commands *prometheus.HistogramVec }

func (m *redisMetrics) register(r prometheus.Registerer) {
	m.commands = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "consoleql_redis_command_duration_seconds",
		Help:    "Commands that Redis was sent, those of a script by the command that runs it, and whether they failed (true, false).",
		Buckets: prometheus.ExponentialBucketsRange(0.0001, 5, 12),
	}, []string{"command", "failed"})
	r.MustRegister(m.commands)
}

// RedisHook counts the commands of a Redis client, as redis.Hook.
func (m *Metrics) RedisHook() redis.Hook { return redisHook{m.redis.commands} }

type redisHook struct{ commands *prometheus.HistogramVec }

// DialHook leaves connecting as it is: whichever command waits for it tells how long that took.
func (redisHook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook counts a command.
func (h redisHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		start := time.Now()
		err := next(ctx, cmd)
		if !explores(cmd) {
			h.count(cmd.Name(), start, err)
		}
		return err
	}
}

// ProcessPipelineHook counts commands that are sent together as one.
func (h redisHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		start := time.Now()
		err := next(ctx, cmds)
		if !slices.ContainsFunc(cmds, explores) {
			h.count("pipeline", start, err)
		}
		return err
	}
}

func (h redisHook) count(command string, start time.Time, err error) {
	failed := "false"
	if redisFailed(err) {
		failed = "true"
	}
	h.commands.WithLabelValues(command, failed).Observe(time.Since(start).Seconds())
}

// explores says that by this command go-redis tries what a server can do, on each new
// connection, and is content to hear that it can not.
func explores(cmd redis.Cmder) bool { return cmd.Name() == "hello" || cmd.Name() == "client" }

// redisFailed says that Redis did not do what it was to do: not that there is no such
// value, that nobody waits for it any more, or that the text of a script has to be sent along.
func redisFailed(err error) bool {
	return err != nil && !errors.Is(err, redis.Nil) && !errors.Is(err, context.Canceled) && !redis.HasErrorPrefix(err, "NOSCRIPT")
}
