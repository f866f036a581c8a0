package consoleclient

import (
	"errors"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"
)

//go:generate go run ./generate

// members maps JSON member names to a struct's fields. It matches names as json does with the options of decoding.
type members struct {
	exact  map[string]*member // by name as the console writes it: camelCase and PascalCase
	folded map[string]*member // by folded name
	first  atomic.Pointer[member]
}

// member is the name of a field, or an unknown name.
type member struct {
	written string // JSON text including the colon
	field   int    // index of the field, or unknownField
	// next is the member that followed last time. Responses usually have their members in the same order.
	next atomic.Pointer[member]
}

// Results of scanner.field that are not a field.
const (
	unknownField = -1 - iota
	noMore
)

var errMistyped = errors.New("a value is not of the type that is expected")

// newMembers creates the table of names. Each name must be unique.
func newMembers(names ...string) *members {
	t := &members{exact: map[string]*member{}, folded: map[string]*member{}}
	for i, name := range names {
		held := &member{written: `"` + name + `":`, field: i}
		t.exact[name] = held
		if folded := string(fold(nil, []byte(name))); t.folded[folded] == nil {
			t.folded[folded] = held
		}
	}
	for i, name := range names {
		pascal := strings.ToUpper(name[:1]) + name[1:]
		if _, taken := t.exact[pascal]; !taken && t.folded[string(fold(nil, []byte(pascal)))] == t.exact[name] {
			t.exact[pascal] = &member{written: `"` + pascal + `":`, field: i}
		}
	}
	return t
}

// fold appends name in a form that ignores case, hyphens and underscores, as json does.
func fold(out, name []byte) []byte {
	for i := 0; i < len(name); {
		c := name[i]
		switch {
		case c == '_' || c == '-':
			i++
		case c < utf8.RuneSelf:
			if 'a' <= c && c <= 'z' {
				c -= 'a' - 'A'
			}
			out = append(out, c)
			i++
		default:
			r, n := utf8.DecodeRune(name[i:])
			for next := unicode.SimpleFold(r); ; next = unicode.SimpleFold(r) {
				wrapped := next <= r
				r = next
				if wrapped {
					break // r is the smallest of the equivalent runes
				}
			}
			out = utf8.AppendRune(out, r)
			i += n
		}
	}
	return out
}

// find returns the member for a name's JSON text.
func (ms *members) find(rawName []byte) *member {
	if m := ms.exact[string(rawName[1:len(rawName)-1])]; m != nil {
		return m
	}
	name := unquoted(rawName)
	if m := ms.exact[string(name)]; m != nil {
		return m
	}
	var room [64]byte
	if m := ms.folded[string(fold(room[:0], name))]; m != nil {
		return m
	}
	return &member{written: string(rawName) + ":", field: unknownField}
}

// object is the state of reading one object.
type object struct {
	members  *members
	expected *atomic.Pointer[member] // predicted next member; nil before the first member
}

// field moves to the value of the next member and returns its field. It returns unknownField for an unknown name, and
// noMore after the last member.
func (s *scanner) field(o *object) (int, error) {
	if o.expected != nil {
		if m := o.expected.Load(); m != nil && s.pos < len(s.in) && s.in[s.pos] == ',' && s.follows(s.pos+1, m.written) {
			s.pos += 1 + len(m.written)
			o.expected = &m.next
			return m.field, nil
		}
	}
	return s.anyField(o)
}

// follows reports whether text is at position at, with at least one byte after it.
func (s *scanner) follows(at int, text string) bool {
	rest := s.in[at:]
	return len(rest) > len(text) && string(rest[:len(text)]) == text
}

// anyField is field without the prediction.
func (s *scanner) anyField(o *object) (int, error) {
	first := o.expected == nil
	if first {
		if c := s.peek(); c != '{' && c != 0 {
			return noMore, errMistyped
		}
		o.expected = &o.members.first
	}
	more, err := s.next('{', '}', first)
	if err != nil || !more {
		return noMore, err
	}
	m := o.expected.Load()
	if m != nil && s.follows(s.pos, m.written) {
		s.pos += len(m.written)
	} else {
		name, err := s.name()
		if err != nil {
			return noMore, err
		}
		m = o.members.find(name)
		o.expected.Store(m)
	}
	o.expected = &m.next
	return m.field, nil
}

// readInto reads the next value into e, which must be zero.
func readInto[T any](s *scanner, e *T) error {
	if r, ok := any(e).(interface{ read(s *scanner) error }); ok {
		return r.read(s)
	}
	return readOther(s, e)
}
