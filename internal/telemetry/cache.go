package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// cacheMetrics holds the metrics of the response cache.
type cacheMetrics struct {
	reads         *prometheus.CounterVec
	evictions     *prometheus.CounterVec
	unshared      *prometheus.CounterVec
	invalidations prometheus.Histogram
	unconfirmed   prometheus.Counter
	leased        prometheus.Gauge
	redisFailures prometheus.Counter
	answers       *prometheus.CounterVec
}

func (c *cacheMetrics) register(r prometheus.Registerer) {
	*c = cacheMetrics{
		reads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "consoleql_cache_reads_total",
			Help: "Reads of the response cache, by kind and source (loaded, coalesced, memory, redis, stale; failed for an error).",
		}, []string{"kind", "source"}),
		evictions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "consoleql_cache_evictions_total",
			Help: "Entries evicted from memory, by kind.",
		}, []string{"kind"}),
		unshared: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "consoleql_cache_unshared_total",
			Help: "Entries not written to Redis because the quota of the replica or the principal is full, by kind.",
		}, []string{"kind"}),
		invalidations: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "consoleql_cache_invalidation_duration_seconds",
			Help:    "Time until no replica could read the invalidated entries.",
			Buckets: []float64{0.0005, 0.002, 0.01, 0.05, 0.25, 1, 5},
		}),
		unconfirmed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "consoleql_cache_unconfirmed_invalidations_total",
			Help: "Invalidations that not all replicas confirmed.",
		}),
		leased: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "consoleql_cache_trusted",
			Help: "1 while this replica knows all invalidations of the others. Always 1 without Redis or with the cache off. At 0, only a replica that was alone answers from memory.",
		}),
		redisFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "consoleql_cache_redis_failures_total",
			Help: "Redis commands of the response cache that failed.",
		}),
	}
	c.answers = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "consoleql_answers_total",
		Help: "Answers of whole queries, by source (hit: cached from an earlier request; shared: of an identical running request; executed).",
	}, []string{"source"})
	r.MustRegister(c.answers, c.reads, c.evictions, c.unshared, c.invalidations, c.unconfirmed, c.leased, c.redisFailures)
}

// CacheRead counts a read; source is empty for a failed one.
func (m *Metrics) CacheRead(kind, source string) {
	if source == "" {
		source = "failed"
	}
	m.cache.reads.WithLabelValues(kind, source).Inc()
}

// CacheEvicted counts an answer that was evicted from memory for space.
func (m *Metrics) CacheEvicted(kind string) { m.cache.evictions.WithLabelValues(kind).Inc() }

// CacheUnshared counts an answer that was not stored in Redis for space.
func (m *Metrics) CacheUnshared(kind string) { m.cache.unshared.WithLabelValues(kind).Inc() }

// CacheInvalidated counts an invalidation, the time that the mutation waited for it, and whether all replicas
// confirmed it.
func (m *Metrics) CacheInvalidated(took time.Duration, confirmed bool) {
	m.cache.invalidations.Observe(took.Seconds())
	if !confirmed {
		m.cache.unconfirmed.Inc()
	}
}

// CacheLeased sets whether this replica may serve from memory.
func (m *Metrics) CacheLeased(trusted bool) {
	if trusted {
		m.cache.leased.Set(1)
	} else {
		m.cache.leased.Set(0)
	}
}

// CacheRedisFailed counts a failed Redis command.
func (m *Metrics) CacheRedisFailed() { m.cache.redisFailures.Inc() }

// Answer counts the answer of a whole query.
func (m *Metrics) Answer(source string) { m.cache.answers.WithLabelValues(source).Inc() }
