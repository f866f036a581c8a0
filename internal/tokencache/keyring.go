package tokencache

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
)

// Keyring encrypts stored tokens with AES-256-GCM. The newest key encrypts, and every key
// decrypts. Each ciphertext is bound to its record, so that none can replace another.
type Keyring struct{ keys atomic.Pointer[[]keyringKey] }

type keyringKey struct {
	id   [keyIDBytes]byte
	aead cipher.AEAD
	mac  []byte
}

const (
	keyBytes    = 32
	keyIDBytes  = 4
	sealVersion = 1
)

// NewKeyring makes a Keyring of keys, the newest first. A key is 32 random bytes in base64 or
// hexadecimal. Commas or white space separate keys. Errors never contain a key.
func NewKeyring(text string) (*Keyring, error) {
	var keys []keyringKey
	for i, word := range strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t' }) {
		key, err := newKeyringKey(word)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key")
	}
	r := &Keyring{}
	r.keys.Store(&keys)
	return r, nil
}

// Replace replaces the keys by those of another Keyring.
func (k *Keyring) Replace(other *Keyring) { k.keys.Store(other.keys.Load()) }

func newKeyringKey(word string) (keyringKey, error) {
	var raw []byte
	var err error
	if len(word) == hex.EncodedLen(keyBytes) {
		raw, err = hex.DecodeString(word)
	} else {
		text := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(word, "="))
		raw, err = base64.RawStdEncoding.DecodeString(text)
	}
	if err != nil || len(raw) != keyBytes {
		return keyringKey{}, fmt.Errorf("it is not %d bytes in base64 or hexadecimal, as `openssl rand -base64 %d` makes them", keyBytes, keyBytes)
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return keyringKey{}, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return keyringKey{}, err
	}
	sum := sha256.Sum256(append([]byte("consoleql token key id\x00"), raw...))
	hashing := sha256.Sum256(append([]byte("consoleql mac key\x00"), raw...))
	return keyringKey{id: [keyIDBytes]byte(sum[:keyIDBytes]), aead: aead, mac: hashing[:]}, nil
}

// MAC returns a hash of a text that only holders of the newest key can compute.
func (k *Keyring) MAC(text string) string { return mac((*k.keys.Load())[0].mac, text) }

// String keeps the keys out of printed values.
func (*Keyring) String() string { return redacted }

// GoString keeps the keys out of %#v.
func (*Keyring) GoString() string { return redacted }

// LogValue keeps the keys out of logs.
func (*Keyring) LogValue() slog.Value { return slog.StringValue(redacted) }

// Seal encrypts plain for a record. The result is the version, the key's ID, the nonce and the
// ciphertext.
func (k *Keyring) Seal(record string, plain []byte) []byte {
	key := (*k.keys.Load())[0]
	out := append([]byte{sealVersion}, key.id[:]...)
	nonce := make([]byte, key.aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	out = append(out, nonce...)
	return key.aead.Seal(out, nonce, plain, sealedFor(record))
}

var errSealed = errors.New("tokencache: the stored token cannot be decrypted: its key is not in the keyring, or the record was changed")

// Open decrypts what Seal has encrypted for the same record.
func (k *Keyring) Open(record string, sealed []byte) ([]byte, error) {
	if len(sealed) < 1+keyIDBytes || sealed[0] != sealVersion {
		return nil, errSealed
	}
	id, rest := [keyIDBytes]byte(sealed[1:1+keyIDBytes]), sealed[1+keyIDBytes:]
	for _, key := range *k.keys.Load() {
		if key.id != id || len(rest) < key.aead.NonceSize() {
			continue
		}
		nonce, box := rest[:key.aead.NonceSize()], rest[key.aead.NonceSize():]
		if plain, err := key.aead.Open(nil, nonce, box, sealedFor(record)); err == nil {
			return plain, nil
		}
	}
	return nil, errSealed
}

func sealedFor(record string) []byte { return []byte("consoleql token v1\x00" + record) }
