package graphqlhttp

import (
	"context"
	"math"

	"github.com/maypok86/otter/v2"
)

const (
	// MaxDocumentBytes bounds the estimated size of each document cache: the one of parsed
	// documents, and the one of persisted queries' texts.
	MaxDocumentBytes = 64 << 20
)

// Documents is a cache for gqlgen that is bounded by bytes. A thousand documents of the
// largest size would take gigabytes, so that a bound on their number would not do.
type Documents[T any] struct{ cache *otter.Cache[string, T] }

// NewDocuments returns a cache of at most so many bytes. of estimates the size of one
// document.
func NewDocuments[T any](most uint64, of func(key string, value T) int) Documents[T] {
	const own = 256 // size of the entry and the cache's nodes
	return Documents[T]{otter.Must(&otter.Options[string, T]{
		MaximumWeight: most,
		Weigher:       func(key string, value T) uint32 { return uint32(min(max(own+of(key, value), own), math.MaxUint32)) },
		Executor:      func(task func()) { task() }, // no goroutine outlives the call
		Logger:        &otter.NoopLogger{},
	})}
}

// Get returns the cached value of a key.
func (d Documents[T]) Get(_ context.Context, key string) (T, bool) { return d.cache.GetIfPresent(key) }

// PersistedTexts maps hashes to the texts of automatic persisted queries, in memory and in
// Shared.
type PersistedTexts struct {
	Documents[string]
	Shared SharedTexts // nil: replicas share no texts
}

// SharedTexts are the texts that replicas share. Both methods take a hash in hexadecimal, and
// bound their time.
type SharedTexts interface {
	Get(ctx context.Context, hash string) (text string, ok bool)
	Add(ctx context.Context, hash, text string)
}

// Get returns the text of a hash. It keeps a shared text in memory.
func (p PersistedTexts) Get(ctx context.Context, hash string) (string, bool) {
	if text, ok := p.Documents.Get(ctx, hash); ok || p.Shared == nil {
		return text, ok
	}
	text, ok := p.Shared.Get(ctx, hash)
	if ok {
		p.Add(ctx, hash, text)
	}
	return text, ok
}

// Share shares the text of a valid document of an identified caller with other replicas.
func (p PersistedTexts) Share(ctx context.Context, hash, text string) {
	if p.Shared != nil && !IsAnonymous(ctx) {
		p.Shared.Add(ctx, hash, text)
	}
}

// Add stores a value.
func (d Documents[T]) Add(_ context.Context, key string, value T) { d.cache.Set(key, value) }
