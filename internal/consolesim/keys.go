package consolesim

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"sync"
)

// pregeneratedKeys are the signing keys of closed simulators.
var pregeneratedKeys keys //nolint:gochecknoglobals // shares only the time to create a key: each key has one user at a time

// keys are unused signing keys. Creating one takes most of a simulator's start time, above all
// with the race detector. Simulators that run in sequence, as in tests, reuse a few.
// Concurrent simulators never share one.
type keys struct {
	mu   sync.Mutex
	idle []*rsa.PrivateKey
}

// get returns an unused key. It fails if it has to create one and there is no randomness.
func (k *keys) get() (*rsa.PrivateKey, error) {
	if key := k.pregenerate(); key != nil {
		return key, nil
	}
	return newKey()
}

// pregenerate returns a key that was given back; nil if there is none.
func (k *keys) pregenerate() *rsa.PrivateKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	last := len(k.idle) - 1
	if last < 0 {
		return nil
	}
	key := k.idle[last]
	k.idle = k.idle[:last]
	return key
}

// put stores a key that is no longer used.
func (k *keys) put(key *rsa.PrivateKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.idle = append(k.idle, key)
}

// newKey creates a key.
func newKey() (*rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("consolesim: signing key: %w", err)
	}
	return key, nil
}
