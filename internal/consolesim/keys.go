package consolesim

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"sync"
)

// spareKeys are the signing keys of simulators that have ended.
var spareKeys keys //nolint:gochecknoglobals // nothing but the time to make one is shared: who takes a key has it alone

// keys are signing keys that nobody signs with. To make one takes longer than all else that a simulator needs at its
// start, by far with the race detector; programs that start one after the other, as tests do, need few. Simulators that
// run at the same time never have the same one.
type keys struct {
	mu   sync.Mutex
	idle []*rsa.PrivateKey
}

// take gives a key that nobody else has. It fails if one has to be made and there is no randomness.
func (k *keys) take() (*rsa.PrivateKey, error) {
	if key := k.spare(); key != nil {
		return key, nil
	}
	return newKey()
}

// spare gives a key that was given back; nil if there is none.
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

// give takes a key back from who signs with it no more.
func (k *keys) give(key *rsa.PrivateKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.idle = append(k.idle, key)
}

// newKey makes a key that nobody has ever had.
func newKey() (*rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("consolesim: signing key: %w", err)
	}
	return key, nil
}
