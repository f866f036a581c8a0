package consolesim

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"sync"
)

// spareKeys are the signing keys of closed simulators.
var spareKeys keys //nolint:gochecknoglobals // shares only the time to create a key: each key has one user at a time

// keys are unused signing keys. Creating one takes most of a simulator's start time, above all
// with the race detector. Simulators that run in sequence, as in tests, reuse a few.
// Concurrent simulators never share one.
type keys struct {
	mu   sync.Mutex
	idle []*rsa.PrivateKey
}

// take returns an unused key. It fails if it has to create one and there is no randomness.
func (k *keys) take() (*rsa.PrivateKey, error) {
	if key := k.spare(); key != nil {
		return key, nil
	}
	return newKey()
}

// spare returns a key that was given back; nil if there is none.
func (k *keys) spare() *rsa.PrivateKey {
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

// give stores a key that is no longer used.
func (k *keys) give(key *rsa.PrivateKey) {
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
