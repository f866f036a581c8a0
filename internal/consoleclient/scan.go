package consoleclient

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// scanner tokenizes and validates JSON as jsontext does with the options of decoding. It fails with io.ErrUnexpectedEOF
// if the JSON is truncated, and with errNotUTF8 if a string is not UTF-8. It fails with errSyntax if the JSON is invalid
// in another way.
type scanner struct {
	in     []byte
	pos    int
	depth  int  // open objects and arrays at this position
	last   bool // whether in ends with the response
	simple bool // whether the last value of raw is a string without escapes and only ASCII
	arena  *arena
}

// maxDepth bounds the nesting of objects and arrays, as jsontext does.
const maxDepth = 10_000

var (
	errSyntax  = errors.New("not JSON")
	errNotUTF8 = errors.New("the answer is not UTF-8")
)

// peek skips white space and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for ; s.pos < len(s.in); s.pos++ {
		switch c := s.in[s.pos]; c {
		case ' ', '\n', '\r', '\t':
		case 0:
			return '\x01' // also invalid, but not the end
		default:
			return c
		}
	}
	return 0
}

// unexpected returns the error for an unexpected byte of peek.
func unexpected(c byte) error {
	if c == 0 {
		return io.ErrUnexpectedEOF
	}
	return errSyntax
}

// raw consumes the next value and returns its JSON as a slice of the buffer, which must not be retained. The slice is
// empty only with an error.
func (s *scanner) raw() ([]byte, error) {
	c := s.peek()
	start := s.pos
	err := s.skip(c)
	return s.in[start:s.pos], err
}

// skip consumes the value that begins with c.
func (s *scanner) skip(c byte) error {
	s.simple = false
	switch c {
	case '"':
		var err error
		s.simple, err = s.skipString()
		return err
	case '{':
		for first := true; ; first = false {
			if more, err := s.next('{', '}', first); err != nil || !more {
				return err
			}
			if _, err := s.name(); err != nil {
				return err
			}
			if err := s.skip(s.peek()); err != nil {
				return err
			}
		}
	case '[':
		for first := true; ; first = false {
			if more, err := s.next('[', ']', first); err != nil || !more {
				return err
			}
			if err := s.skip(s.peek()); err != nil {
				return err
			}
		}
	case 't':
		return s.skipLiteral("true")
	case 'f':
		return s.skipLiteral("false")
	case 'n':
		return s.skipLiteral("null")
	default:
		return s.skipNumber(c)
	}
}

func (s *scanner) skipLiteral(word string) error {
	rest := s.in[s.pos:]
	switch {
	case len(rest) >= len(word) && string(rest[:len(word)]) == word:
		s.pos += len(word)
		return nil
	case len(rest) < len(word) && string(rest) == word[:len(rest)]:
		return io.ErrUnexpectedEOF
	}
	return errSyntax
}

func (s *scanner) skipNumber(c byte) error {
	at := s.pos
	if c == '-' {
		at++
	}
	whole := at
	if at < len(s.in) && s.in[at] == '0' {
		at++
	} else {
		at = s.digits(at)
	}
	if at > whole && at < len(s.in) && s.in[at] == '.' {
		whole = at + 1
		at = s.digits(whole)
	}
	if at > whole && at < len(s.in) && s.in[at]|' ' == 'e' {
		at++
		if at < len(s.in) && (s.in[at] == '+' || s.in[at] == '-') {
			at++
		}
		whole = at
		at = s.digits(whole)
	}
	switch {
	case at == len(s.in) && !s.last: // more digits may follow
		return io.ErrUnexpectedEOF
	case at == whole && at == len(s.in) && at > s.pos:
		return io.ErrUnexpectedEOF
	case at == whole:
		return unexpected(c)
	}
	s.pos = at
	return nil
}

// digits returns the position after the digits that begin at at.
func (s *scanner) digits(at int) int {
	for at < len(s.in) && isDigit(s.in[at]) {
		at++
	}
	return at
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// skipString consumes a string. simple reports that it has no escapes and only ASCII.
func (s *scanner) skipString() (simple bool, err error) {
	simple = true
	for at := s.pos + 1; ; {
		at += plainBytes(s.in[at:])
		if at >= len(s.in) {
			return false, io.ErrUnexpectedEOF
		}
		switch c := s.in[at]; {
		case c == '"':
			s.pos = at + 1
			return simple, nil
		case c == '\\':
			simple = false
			n, err := escapeLength(s.in[at:])
			if err != nil {
				return false, err
			}
			at += n
		case c < ' ':
			return false, errSyntax
		case c >= utf8.RuneSelf:
			simple = false
			start := at
			for at++; at < len(s.in) && s.in[at] >= utf8.RuneSelf; at++ {
			}
			if at < len(s.in) && !utf8.Valid(s.in[start:at]) { // at the end of the buffer, more bytes may follow
				return false, errNotUTF8
			}
		default:
			at++
		}
	}
}

// escapeLength returns the length of the escape sequence at the start of b.
func escapeLength(b []byte) (int, error) {
	if len(b) < 2 {
		return 0, io.ErrUnexpectedEOF
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, nil
	case 'u':
	default:
		return 0, errSyntax
	}
	const length = len(`\u0000`)
	for _, c := range b[2:min(len(b), length)] {
		if lower := c | ' '; !isDigit(c) && (lower < 'a' || lower > 'f') {
			return 0, errSyntax
		}
	}
	if len(b) < length {
		return 0, io.ErrUnexpectedEOF
	}
	return length, nil
}

// plainBytes counts the bytes before the first quotation mark, backslash, control character or non-ASCII byte. It
// reads eight bytes at a time and ignores a shorter rest.
func plainBytes(b []byte) (n int) {
	const (
		ones, highs    = 0x0101010101010101, 0x8080808080808080
		quotes, slants = ones * '"', ones * '\\'
		spaces         = ones * ' '
	)
	for ; len(b)-n >= 8; n += 8 {
		w := binary.LittleEndian.Uint64(b[n:])
		q, e := w^quotes, w^slants // a byte is 0 where one stands; subtracting 1 borrows from the byte above
		if hit := (w | (q-ones)&^q | (e-ones)&^e | (w-spaces)&^w) & highs; hit != 0 {
			return n + bits.TrailingZeros64(hit)/8 // the lowest hit is exact
		}
	}
	return n
}

// next moves to the next element of an array or member of an object. With first it consumes the opening bracket,
// otherwise the comma. At the end it consumes the closing bracket and returns false.
func (s *scanner) next(begin, end byte, first bool) (more bool, err error) {
	if first {
		if c := s.peek(); c != begin {
			return false, unexpected(c)
		}
		if s.depth++; s.depth > maxDepth {
			return false, errSyntax
		}
		s.pos++
	}
	c := s.peek()
	switch {
	case c == end:
		s.depth--
		s.pos++
		return false, nil
	case c == 0:
		return false, io.ErrUnexpectedEOF
	case first:
		return true, nil
	case c != ',':
		return false, errSyntax
	}
	s.pos++
	switch s.peek() {
	case 0:
		return false, io.ErrUnexpectedEOF
	case end:
		return false, errSyntax
	}
	return true, nil
}

// name consumes a member's name and its colon, and returns the name's JSON.
func (s *scanner) name() ([]byte, error) {
	if c := s.peek(); c != '"' {
		return nil, unexpected(c)
	}
	start := s.pos
	if _, err := s.skipString(); err != nil {
		return nil, err
	}
	name := s.in[start:s.pos]
	if c := s.peek(); c != ':' {
		return nil, unexpected(c)
	}
	s.pos++
	return name, nil
}

// plain consumes the next value and returns the same text as readText. The bytes must not be retained.
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

// text is plain with a copy of the text; null becomes empty.
func (s *scanner) text() (string, jsontext.Kind, error) {
	switch {
	case s.pos >= len(s.in):
	case s.in[s.pos] == '"': // fast path: most strings are plain
		start := s.pos + 1
		if end := start + plainBytes(s.in[start:]); end < len(s.in) && s.in[end] == '"' {
			s.pos = end + 1
			return s.arena.copyString(s.in[start:end]), kindString, nil
		}
	case s.follows(s.pos, "null"):
		s.pos += len("null")
		return "", kindNull, nil
	}
	b, kind, err := s.plain()
	if err != nil || kind == kindNull {
		return "", kind, err
	}
	return s.arena.copyString(b), kind, nil
}

// unquoted returns the text of a JSON string that the scanner has read, with lone surrogates replaced. It avoids a copy
// for strings without escapes.
func unquoted(raw []byte) []byte {
	if len(raw) >= 2 {
		inner := raw[1 : len(raw)-1]
		if bytes.IndexByte(inner, '\\') < 0 {
			return inner
		}
	}
	b, _ := jsontext.AppendUnquote(nil, raw) // the only possible error reports replaced surrogates
	return b
}
