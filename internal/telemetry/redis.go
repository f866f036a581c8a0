package telemetry

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// redisMetrics holds the metrics of all Redis commands of the gateway.
type redisMetrics struct{ commands *prometheus.HistogramVec }

func (m *redisMetrics) register(r prometheus.Registerer) {
	m.commands = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "consoleql_redis_command_duration_seconds",
		Help:    "Commands that Redis was sent, those of a script by the command that runs it, and whether they failed (true, false).",
		Buckets: []float64{0.001, 0.01, 0.1, 1, 5},
	}, []string{"command", "failed"})
	r.MustRegister(m.commands)
}

// RedisHook returns a redis.Hook that counts commands and passes the outcome of each to observe: nil, or the error if
// Redis is the reason. observe may be nil.
func (m *Metrics) RedisHook(observe func(error)) redis.Hook {
	if observe == nil {
		observe = func(error) {}
	}
	return redisHook{m.redis.commands, observe}
}

type redisHook struct {
	commands *prometheus.HistogramVec
	observe  func(error)
}

// DialHook does not change dialing. The duration of the waiting command includes it.
func (redisHook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook counts a command.
func (h redisHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		start := time.Now()
		err := next(ctx, cmd)
		if !isFeatureDetection(cmd) {
			h.count(cmd.Name(), start, err)
		}
		return err
	}
}

// ProcessPipelineHook counts a pipeline as one command.
func (h redisHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		start := time.Now()
		err := next(ctx, cmds)
		if !slices.ContainsFunc(cmds, isFeatureDetection) {
			h.count("pipeline", start, err)
		}
		return err
	}
}

func (h redisHook) count(command string, start time.Time, err error) {
	failed := "false"
	switch {
	case redisFailed(err):
		failed = "true"
		h.observe(err)
	case !errors.Is(err, context.Canceled):
		h.observe(nil)
	}
	h.commands.WithLabelValues(command, failed).Observe(time.Since(start).Seconds())
}

// isFeatureDetection reports whether go-redis sends the command on each new connection to detect features. It tolerates the
// failure.
func isFeatureDetection(cmd redis.Cmder) bool { return cmd.Name() == "hello" || cmd.Name() == "client" }

// redisFailed reports whether a command failed. A missing value, a cancelled caller and an unknown script (NOSCRIPT)
// are not failures.
func redisFailed(err error) bool {
	return err != nil && !errors.Is(err, redis.Nil) && !errors.Is(err, context.Canceled) && !redis.HasErrorPrefix(err, "NOSCRIPT")
}
