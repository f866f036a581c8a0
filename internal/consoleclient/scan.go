package consoleclient

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// scanner walks through one JSON value that jsontext has read, and thereby found to be well formed and not nested too
// deeply: what it still checks is only what keeps it within the value.
type scanner struct {
	in    []byte
	at    int
	texts *texts
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
	switch first {
	case 0, ',', ':', ']', '}':
		return nil, io.ErrUnexpectedEOF
	case '"':
		s.skipString()
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

// skipString consumes a string, which begins here.
func (s *scanner) skipString() {
	for s.at++; ; {
		n := bytes.IndexByte(s.in[s.at:], '"')
		if n < 0 {
			s.at = len(s.in)
			return
		}
		backslash := bytes.IndexByte(s.in[s.at:s.at+n], '\\')
		if backslash < 0 {
			s.at += n + 1
			return
		}
		s.at = min(s.at+backslash+2, len(s.in)) // past what is escaped, which may be the quotation mark
	}
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
func (t *texts) pointer(s string) *string {
	if len(t.slots) == 0 {
		t.slots = make([]string, textSlots)
	}
	p := &t.slots[0]
	t.slots = t.slots[1:]
	*p = s
	return p
}
