package responsecache

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/consoleql/consoleql/internal/invalidation"
)

// envelopeForm is the first byte of every entry in Redis.
const envelopeForm = 2

// maxDecoded bounds the value of an entry from Redis, in bytes.
const maxDecoded = 64 << 20

// envelope is an entry in Redis. It names no principal and no tag: tags are slots, and the
// principal is a digest that differs from entry to entry.
type envelope struct {
	owner     [16]byte
	id        uint64
	epoch     string
	version   uint64
	refreshID RefreshID
	begun     int64 // by the server's clock, in milliseconds
	cost      time.Duration
	slots     []invalidation.Slot
	payload   []byte // compressed
}

// digest is the name of an entry in Redis: a hash over all fields, each with its length, so
// that no two keys look alike.
func digest(version string, k key) string {
	h := sha256.New()
	for _, field := range []string{version, k.kind, k.principal, k.call} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(field))))
		h.Write([]byte(field))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// owner returns the proof that an entry belongs to a principal.
func owner(digest, principal string) [16]byte {
	sum := sha256.Sum256([]byte(digest + "\x00" + principal))
	return [16]byte(sum[:16])
}

// seal returns the bytes of the envelope with a value.
func (e envelope) seal(value []byte) []byte {
	b := make([]byte, 0, 64+len(e.epoch)+2*len(e.slots)+s2.MaxEncodedLen(len(value)))
	b = append(b, envelopeForm)
	b = append(b, e.owner[:]...)
	b = binary.BigEndian.AppendUint64(b, e.id)
	b = binary.AppendUvarint(b, uint64(len(e.epoch)))
	b = append(b, e.epoch...)
	b = binary.AppendUvarint(b, e.version)
	b = binary.AppendUvarint(b, uint64(e.refreshID))
	b = binary.AppendVarint(b, e.begun)
	b = binary.AppendVarint(b, int64(e.cost))
	b = binary.AppendUvarint(b, uint64(len(e.slots)))
	for _, s := range e.slots {
		b = binary.BigEndian.AppendUint16(b, uint16(s))
	}
	return append(b, s2.Encode(nil, value)...)
}

// errEnvelope is the error of data in Redis that has another form.
var errEnvelope = errors.New("not an answer")

// openEnvelope reads an envelope without its value.
func openEnvelope(data []byte) (envelope, error) {
	r := reader{rest: data}
	var e envelope
	if form := r.bytes(1); r.bad || form[0] != envelopeForm {
		return e, errEnvelope
	}
	copy(e.owner[:], r.bytes(uint64(len(e.owner))))
	if id := r.bytes(8); !r.bad {
		e.id = binary.BigEndian.Uint64(id)
	}
	e.epoch = string(r.bytes(r.uvarint()))
	e.version = r.uvarint()
	e.refreshID = RefreshID(r.uvarint())
	e.begun = r.varint()
	e.cost = time.Duration(r.varint())
	n := r.uvarint()
	if n > invalidation.SlotCount {
		return e, errEnvelope
	}
	for at := r.bytes(2 * n); len(at) > 0; at = at[2:] {
		e.slots = append(e.slots, invalidation.Slot(binary.BigEndian.Uint16(at)))
	}
	if r.bad || e.cost < 0 {
		return e, errEnvelope
	}
	e.payload = r.rest
	return e, nil
}

// value returns the value that the envelope was sealed with.
func (e envelope) value() ([]byte, error) {
	n, err := s2.DecodedLen(e.payload)
	if err != nil || n > maxDecoded {
		return nil, fmt.Errorf("%w: %d bytes: %w", errEnvelope, n, err)
	}
	value, err := s2.Decode(nil, e.payload)
	if err != nil {
		return nil, fmt.Errorf("decompress an answer: %w", err)
	}
	return value, nil
}

// reader reads data that may be too short.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) bytes(n uint64) []byte {
	if r.bad || n > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.bad = true
	}
	r.bytes(uint64(max(n, 0)))
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.bad = true
	}
	r.bytes(uint64(max(n, 0)))
	return v
}
