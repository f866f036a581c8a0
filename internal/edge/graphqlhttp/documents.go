package graphqlhttp

import (
	"context"
	"math"

	"github.com/maypok86/otter/v2"
)

const (
	// MaxDocumentBytes bounds each of the caches of documents, as estimated: of parsed ones,
	// by their text, and of the texts of automatic persisted queries, by their hash.
	MaxDocumentBytes = 64 << 20
)

// Documents is a cache for gqlgen that is bounded by bytes: by their number, a thousand
// documents of the largest size would take gigabytes.
type Documents[T any] struct{ kept *otter.Cache[string, T] }

// NewDocuments returns a cache of at most so many bytes; of says what one document takes.
func NewDocuments[T any](most uint64, of func(key string, value T) int) Documents[T] {
	const own = 256 // the entry and the cache's nodes
	return Documents[T]{otter.Must(&otter.Options[string, T]{
		MaximumWeight: most,
		Weigher:       func(key string, value T) uint32 { return uint32(min(max(own+of(key, value), own), math.MaxUint32)) },
		Executor:      func(task func()) { task() }, // whoever starts goroutines must be able to wait for them
		Logger:        &otter.NoopLogger{},
	})}
}

// Get returns what is kept under a key.
func (d Documents[T]) Get(_ context.Context, key string) (T, bool) { return d.kept.GetIfPresent(key) }

// Add keeps a value.
func (d Documents[T]) Add(_ context.Context, key string, value T) { d.kept.Set(key, value) }
