package idempotency

import (
	"bytes"
	"compress/gzip"
	"io"
)

const (
	// MaxPlain is the greatest result that is stored as it is. Releases that do not know packed results read it, and see
	// a larger one as too large.
	MaxPlain = 4 << 10
	// maxPacked is the greatest size of a packed result.
	maxPacked = 64 << 10
)

// packMark begins packed results, and no others.
const packMark = "\x1f\x8b"

func isPacked(result []byte) bool { return bytes.HasPrefix(result, []byte(packMark)) }

// pack returns a copy of a result, compressed if it is large. It returns false if it is too large to keep.
func pack(result []byte) (_ []byte, ok bool) {
	if len(result) > MaxResult {
		return nil, false
	}
	if len(result) <= MaxPlain && !isPacked(result) {
		return bytes.Clone(result), true
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(result) // a Buffer does not fail
	_ = w.Close()
	return packed.Bytes(), packed.Len() <= maxPacked
}

// unpack returns the result that pack has packed.
func unpack(stored []byte) ([]byte, error) {
	if !isPacked(stored) {
		return stored, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(stored))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, MaxResult))
}
