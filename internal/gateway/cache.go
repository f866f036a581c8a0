package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/cachedconsole"
	"github.com/consoleql/consoleql/internal/edge"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/operationcache"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/telemetry"
)

// Caching holds the settings of the caches: sizes and lifetimes.
type Caching struct {
	Cache                     string          `enum:"on,off" default:"on" help:"Whether answers are cached, and identical reads in flight are shared (${enum}). off: each operation calls the console, for measuring and debugging."`
	CacheBytes                uint64          `default:"${cache_bytes}" help:"Memory for the console's answers, in bytes, as estimated. It is at most half of the process's memory limit. Redis holds at most as much for each replica, compressed, and a quarter of that for one principal."`
	AnswerBytes               uint64          `default:"${answer_bytes}" help:"Memory for the answers of whole queries, in bytes. It is at most an eighth of the process's memory limit."`
	CacheLife                 DurationsByKind `help:"How long answers are fresh, by kind, such as robots=5s,queues=1m. Other kinds keep their defaults. 0 caches none of a kind. The kinds: ${kinds}. The defaults: ${cache_life}." placeholder:"KIND=DURATION"`
	CacheStaleWhileRevalidate DurationsByKind `help:"How long after its life an answer is still given while a new one is fetched in the background, by kind. The defaults: ${cache_stale_while_revalidate}." placeholder:"KIND=DURATION"`
	CacheStaleIfError         DurationsByKind `help:"How long after its life an answer is still given if loading a new one fails or takes long, by kind. The defaults: ${cache_stale_if_error}." placeholder:"KIND=DURATION"`
	CacheNegative             DurationsByKind `help:"How long it is cached that an entity does not exist, by kind. The defaults: ${cache_negative}." placeholder:"KIND=DURATION"`
}

// Fit reduces the cache sizes to shares of the process's memory limit. Without free memory the garbage collector
// would run all the time.
func (c *Caching) Fit(limit int64, log *slog.Logger) {
	forCache, forAnswers := uint64(limit/2), uint64(limit/8) //nolint:gosec,mnd // a limit is not negative, and the help states its shares
	if c.CacheBytes <= forCache && c.AnswerBytes <= forAnswers {
		return
	}
	c.CacheBytes, c.AnswerBytes = min(c.CacheBytes, forCache), min(c.AnswerBytes, forAnswers)
	log.Info("the caches are smaller than they were set, for the memory limit", "cache", c.CacheBytes, "answers", c.AnswerBytes)
}

// DurationsByKind holds durations by kind, such as "robots=1s, queues=30s".
type DurationsByKind map[string]time.Duration

// UnmarshalText adds the durations in text, because a flag may be repeated.
func (k *DurationsByKind) UnmarshalText(text []byte) error {
	read := maps.Clone(*k)
	if read == nil {
		read = make(DurationsByKind)
	}
	for part := range strings.SplitSeq(string(text), ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		kind, value, found := strings.Cut(part, "=")
		kind = strings.TrimSpace(kind)
		if !found {
			return fmt.Errorf("%q is not of the form KIND=DURATION", part)
		}
		if _, twice := read[kind]; twice {
			return fmt.Errorf("%q is given twice", kind)
		}
		d, err := time.ParseDuration(strings.TrimSpace(value))
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		read[kind] = d
	}
	*k = read
	return nil
}

// String returns the format that UnmarshalText reads.
func (k DurationsByKind) String() string {
	parts := make([]string, 0, len(k))
	for _, kind := range slices.Sorted(maps.Keys(k)) {
		parts = append(parts, kind+"="+k[kind].String())
	}
	return strings.Join(parts, ",")
}

// lifetimeSetting is a lifetime setting and the field of a policy that it sets.
type lifetimeSetting struct {
	setting   string
	durations DurationsByKind
	field     func(*responsecache.Policy) *time.Duration
}

// lifetimeSettings returns all lifetime settings.
func (c Caching) lifetimeSettings() []lifetimeSetting {
	return []lifetimeSetting{
		{"cache-life", c.CacheLife, func(p *responsecache.Policy) *time.Duration { return &p.Life }},
		{"cache-stale-while-revalidate", c.CacheStaleWhileRevalidate, func(p *responsecache.Policy) *time.Duration { return &p.StaleWhileRevalidate }},
		{"cache-stale-if-error", c.CacheStaleIfError, func(p *responsecache.Policy) *time.Duration { return &p.StaleIfError }},
		{"cache-negative", c.CacheNegative, func(p *responsecache.Policy) *time.Duration { return &p.Negative }},
	}
}

// FormatDuration formats a duration without zero parts: 5m instead of 5m0s.
func FormatDuration(d time.Duration) string {
	text := d.String()
	for _, part := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, part) {
			text = text[:len(text)-len(part)+1]
		}
	}
	return text
}

// InForce returns the durations in force for every kind, by setting.
func (c Caching) InForce() (map[string]DurationsByKind, error) {
	l, err := c.lifetimes()
	if err != nil {
		return nil, err
	}
	all := make(map[string]DurationsByKind)
	for _, setting := range c.lifetimeSettings() {
		durations := make(DurationsByKind, len(l))
		for kind, policy := range l {
			durations[kind] = *setting.field(&policy)
		}
		all[setting.setting] = durations
	}
	return all, nil
}

// lifetimes returns the defaults, overridden by the settings.
func (c Caching) lifetimes() (cachedconsole.Lifetimes, error) {
	l := cachedconsole.DefaultLifetimes()
	for _, setting := range c.lifetimeSettings() {
		var err error
		if l, err = l.With(setting.durations, func(p *responsecache.Policy, d time.Duration) { *setting.field(p) = d }); err != nil {
			return nil, fmt.Errorf("--%s: %w", setting.setting, err)
		}
	}
	if err := l.Policies().Validate(); err != nil {
		return nil, fmt.Errorf("--cache-life and its windows: %w", err)
	}
	return l, nil
}

// openCache opens the response cache.
func (g *Gateway) openCache() error {
	s := g.settings
	// With replicas, memory is trusted only after the first reply of Redis.
	g.metrics.CacheLeased(g.redis == nil || s.Cache == "off")
	if s.Cache == "off" {
		return nil
	}
	lifetimes, err := s.lifetimes()
	if err != nil {
		return err
	}
	g.cache, err = responsecache.New(responsecache.Options{
		Policies:  lifetimes.Policies(),
		MaxBytes:  s.CacheBytes,
		StaleWait: s.ConsoleTimeout / 2,
		Redis:     g.redis,
		// An unknown number may be greater than 1.
		OnlyReplica: s.Replicas == 1,
		// Consoles that share a Redis share neither answers nor invalidations.
		Prefix:  responsecache.DefaultPrefix + hash(s.ConsoleURL) + ":",
		Version: cachedconsole.Form(),
		Observe: func(e responsecache.Event) {
			observeCache(g.metrics, e)
			if e.Type == responsecache.Leased && !e.Failed {
				g.redisSeen.Store(true)
			}
		},
		Logger: g.log,
	})
	return err
}

// openConsole creates the cached console.
func (g *Gateway) openConsole() (err error) {
	g.console, err = cachedconsole.New(cachedconsole.Options{
		Client:   g.client,
		Cache:    g.cache,
		Identity: g.sharedName,
		Accepted: g.accepted,
		OnUserID: g.audit.RecordUser,
		Logger:   g.log,
	})
	return err
}

// openOperationCache opens the operation cache and adds it to the edge's options.
func (g *Gateway) openOperationCache(o *edge.Options) (err error) {
	if g.cache == nil {
		return nil
	}
	g.operationCache, err = operationcache.New(operationcache.Options{
		Schema:   o.SDL,
		Validity: g.cache,
		Accepted: g.accepted,
		MaxBytes: g.settings.AnswerBytes,
		Memory:   g.memory,
		Observe: func(ctx context.Context, source accesslog.Source, answer *operation.Summary) {
			g.metrics.Answer(string(source))
			if answer != nil {
				client := clientOf(principal.FromContext(ctx))
				g.metrics.Operation(telemetry.Operation{Client: client, Type: answer.Type, Name: answer.Name, Codes: answer.Codes})
			}
		},
		Logger: g.log,
	})
	o.OperationCache = g.operationCache
	return err
}

// accepted returns an error unless the gateway can get a token for the principal in ctx.
func (g *Gateway) accepted(ctx context.Context) error {
	_, err := g.Tokens.Token(ctx)
	return err
}

// hash returns a short hash that separates keys in Redis.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// observeCache converts events of the response cache to metrics.
func observeCache(m *telemetry.Metrics, e responsecache.Event) {
	switch e.Type {
	case responsecache.Served, responsecache.Failed:
		m.CacheRead(e.Kind, string(e.Source))
	case responsecache.Evicted:
		m.CacheEvicted(e.Kind)
	case responsecache.Unshared:
		m.CacheUnshared(e.Kind)
	case responsecache.Invalidated:
		m.CacheInvalidated(e.Took, !e.Failed)
	case responsecache.Leased:
		m.CacheLeased(!e.Failed)
	case responsecache.RedisFailed:
		m.CacheRedisFailed()
	}
}
