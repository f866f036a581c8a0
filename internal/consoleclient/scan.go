package consoleclient

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// scanner walks through one JSON value that jsontext has read, and thereby found to be well formed and not nested too
// deeply: what it still checks is only what keeps it within the value.
type scanner struct {
	in     []byte
	at     int
	simple bool // whether the last value of raw is a string that is its own text
	texts  *texts
}

// peek skips white space and gives the first byte of what follows, 0 at the end.
func (s *scanner) peek() byte {
	for ; s.at < len(s.in); s.at++ {
		if c := s.in[s.at]; c > ' ' {
			return c
		}
	}
	return 0
}

// raw consumes the next value and gives its JSON, which is that of the answer itself: it must not be kept. It is never
// empty unless there is an error.
func (s *scanner) raw() ([]byte, error) {
	first := s.peek()
	start := s.at
	s.simple = false
	switch first {
	case 0, ',', ':', ']', '}':
		return nil, io.ErrUnexpectedEOF
	case '"':
		s.simple = s.skipString()
	case '{', '[':
		s.skipNested()
	default:
		for s.at < len(s.in) && !ends(s.in[s.at]) {
			s.at++
		}
	}
	return s.in[start:s.at], nil
}

// ends says whether a byte comes after a number or literal.
func ends(c byte) bool { return c <= ' ' || c == ',' || c == ']' || c == '}' || c == ':' }

// skipString consumes a string, which begins here, and says whether it is its own text: without escapes, and all ASCII.
func (s *scanner) skipString() (simple bool) {
	simple = true
	for at := s.at + 1; ; {
		at += plainBytes(s.in[at:])
		if at >= len(s.in) {
			s.at = len(s.in)
			return false
		}
		switch c := s.in[at]; c {
		case '"':
			s.at = at + 1
			return simple
		case '\\':
			simple = false
			at = min(at+2, len(s.in)) // past what is escaped, which may be the quotation mark
		default:
			simple = simple && c < utf8.RuneSelf
			at++
		}
	}
}

// plainBytes counts the bytes before the first that is a quotation mark, a backslash or not ASCII; it looks at eight at a
// time, and leaves off where fewer are left.
func plainBytes(b []byte) (n int) {
	const (
		ones, highs    = 0x0101010101010101, 0x8080808080808080
		quotes, slants = ones * '"', ones * '\\'
	)
	for ; len(b)-n >= 8; n += 8 {
		w := binary.LittleEndian.Uint64(b[n:])
		q, e := w^quotes, w^slants // 0 where one stands, which borrows from above when 1 is taken away
		if hit := (w | (q-ones)&^q | (e-ones)&^e) & highs; hit != 0 {
			return n + bits.TrailingZeros64(hit)/8 // the lowest is never wrong
		}
	}
	return n
}

// skipNested consumes an object or array, which begins here.
func (s *scanner) skipNested() {
	depth := 0
	for s.at < len(s.in) {
		switch s.in[s.at] {
		case '"':
			s.skipString()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s.at++
		if depth == 0 {
			return
		}
	}
}

// next goes to the next element of an array, or the next member of an object, whose closing bracket is end, and consumes
// that bracket where there is none.
func (s *scanner) next(end byte) (more bool, err error) {
	c := s.peek()
	if c == ',' {
		s.at++
		c = s.peek()
	}
	switch c {
	case 0:
		return false, io.ErrUnexpectedEOF
	case end:
		s.at++
		return false, nil
	}
	return true, nil
}

// named consumes a member's name and the colon after it if the name is the given one, written without escapes.
func (s *scanner) named(name string) bool {
	rest := s.in[s.at:]
	n := len(name) + 2
	if len(rest) <= n || rest[n-1] != '"' || rest[n] != ':' || string(rest[1:n-1]) != name {
		return false
	}
	s.at += n + 1
	return true
}

// name consumes a member's name and the colon after it, and gives the name's JSON.
func (s *scanner) name() ([]byte, error) {
	name, err := s.raw()
	if err != nil {
		return nil, err
	}
	if s.peek() != ':' || len(name) < 2 {
		return nil, io.ErrUnexpectedEOF
	}
	s.at++
	return name, nil
}

// plain consumes the next value and gives its text as readText does. The bytes must not be kept.
func (s *scanner) plain() ([]byte, jsontext.Kind, error) {
	raw, err := s.raw()
	if err != nil {
		return nil, jsontext.KindInvalid, err
	}
	if raw[0] != '"' {
		return raw, jsontext.Value(raw[:1]).Kind(), nil
	}
	if s.simple {
		return raw[1 : len(raw)-1], kindString, nil
	}
	return unquoted(raw), kindString, nil
}

// text is plain for keeping.
func (s *scanner) text() (string, jsontext.Kind, error) {
	b, kind, err := s.plain()
	return s.texts.keep(b), kind, err
}

// unquoted gives what a JSON string says, invalid UTF-8 replaced: most are their own text.
func unquoted(raw []byte) []byte {
	if len(raw) >= 2 {
		inner := raw[1 : len(raw)-1]
		if bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
			return inner
		}
	}
	b, _ := jsontext.AppendUnquote(nil, raw) // the only error left is that something was replaced
	return b
}

// texts holds the texts of an answer, many to an allocation. Nothing of the answer but its texts is kept by them.
type texts struct {
	bytes strings.Builder
	slots []string
	list  []string // for the list that is being read
}

// A text that outlives the rest of its answer keeps this much of it: few enough not to matter.
const (
	textBytes = 1 << 10
	textSlots = 32
)

// keep copies a text.
func (t *texts) keep(b []byte) string {
	if len(b) > textBytes/4 {
		return string(b)
	}
	if t.bytes.Cap()-t.bytes.Len() < len(b) {
		t.bytes.Reset() // leaves what it held to the texts that were made of it
		t.bytes.Grow(textBytes)
	}
	start := t.bytes.Len()
	t.bytes.Write(b)
	return t.bytes.String()[start:]
}

// pointer gives a text an address.
func (t *texts) pointer(s string) *string { return &t.keepList([]string{s})[0] }

// keepList copies a list of texts; it is not nil.
func (t *texts) keepList(list []string) []string {
	n := len(list)
	if n > textSlots/4 {
		return slices.Clone(list)
	}
	if len(t.slots) <= n {
		t.slots = make([]string, textSlots)
	}
	kept := t.slots[:n:n]
	t.slots = t.slots[n:]
	copy(kept, list)
	return kept
}
