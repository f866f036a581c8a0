package entity

import (
	"context"
	"sync"

	"github.com/consoleql/consoleql/graph/batch"
)

// thunkCache is the cache of a dataloader. It also tells whether a key was loaded, without loading it.
type thunkCache[V any] struct {
	mu     sync.RWMutex
	thunks map[key]batch.Thunk[V]
}

// Get returns the thunk of k, if it was loaded.
func (c *thunkCache[V]) Get(_ context.Context, k key) (batch.Thunk[V], bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	t, ok := c.thunks[k]
	return t, ok
}

// Set stores the thunk of k.
func (c *thunkCache[V]) Set(_ context.Context, k key, t batch.Thunk[V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.thunks == nil {
		c.thunks = make(map[key]batch.Thunk[V], 64) // enough for most levels
	}
	c.thunks[k] = t
}

// Delete removes k.
func (c *thunkCache[V]) Delete(_ context.Context, k key) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.thunks[k]
	delete(c.thunks, k)
	return ok
}

// Clear removes every key.
func (c *thunkCache[V]) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.thunks)
}
