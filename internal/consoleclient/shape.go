package consoleclient

import (
	"errors"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// shape says how a struct is read: it is made once of each type, so that reading takes no more than a look at a table for
// each member. What it reads, and what it forgives, is what json with the options of decoding does.
type shape struct {
	exact  map[string]*member // by name in the two ways the console writes it: camelCase and PascalCase
	folded map[string]*member // by folded name
	first  atomic.Pointer[member]
}

// member is a name of a field, or one that nobody wants.
type member struct {
	name  string
	field int
	read  reader // nil: the value is passed over
	// next is the member that followed last time. Answers have their members in one order, so that it will again.
	next atomic.Pointer[member]
}

// reader consumes the next value and sets v, which is settable, to it.
type reader func(s *scanner, v reflect.Value) error

var errMistyped = errors.New("a value is not of the type that is expected")

// shapes are the shapes of the types that were needed so far.
var shapes sync.Map //nolint:gochecknoglobals // as decoding

// shapeOf gives the shape of a type, nil where there is none because json itself must read it.
func shapeOf(t reflect.Type) *shape {
	if known, ok := shapes.Load(t); ok {
		return known.(*shape)
	}
	var made *shape
	if hasShape(t) {
		made = newShape(t)
	}
	known, _ := shapes.LoadOrStore(t, made)
	return known.(*shape)
}

// hasShape says whether a type is a struct that uses nothing of json but names.
func hasShape(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for _, reads := range []reflect.Type{reflect.TypeFor[json.UnmarshalerFrom](), reflect.TypeFor[json.Unmarshaler]()} {
		if reflect.PointerTo(t).Implements(reads) {
			return false
		}
	}
	for f := range t.Fields() {
		_, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || options != "" && options != "omitzero" || strings.ContainsAny(f.Tag.Get("json"), "'\"\\") {
			return false
		}
	}
	return true
}

func newShape(t reflect.Type) *shape {
	sh := &shape{exact: map[string]*member{}, folded: map[string]*member{}}
	for f := range t.Fields() {
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		if !f.IsExported() || tag == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		held := &member{name: name, field: f.Index[0], read: readerOf(f.Type)}
		sh.exact[name] = held
		if folded := string(fold(nil, []byte(name))); sh.folded[folded] == nil {
			sh.folded[folded] = held
		}
	}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if held := sh.exact[name]; held != nil {
			pascal := strings.ToUpper(name[:1]) + name[1:]
			if _, taken := sh.exact[pascal]; !taken && sh.folded[string(fold(nil, []byte(pascal)))] == held {
				sh.exact[pascal] = &member{name: pascal, field: held.field, read: held.read}
			}
		}
	}
	return sh
}

// fold appends a name so that names that differ in case, hyphens and underscores only become the same, as json does.
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
					break // at the least of all that are the same
				}
			}
			out = utf8.AppendRune(out, r)
			i += n
		}
	}
	return out
}

// find gives what a name's JSON stands for, nil for nothing.
func (sh *shape) find(rawName []byte) *member {
	if m := sh.exact[string(rawName[1:len(rawName)-1])]; m != nil {
		return m
	}
	name := unquoted(rawName)
	if m := sh.exact[string(name)]; m != nil {
		return m
	}
	var room [64]byte
	return sh.folded[string(fold(room[:0], name))]
}

// read consumes the object that begins here and sets those fields of v that it names.
func (sh *shape) read(s *scanner, v reflect.Value) error {
	if c := s.peek(); c != '{' && c != 0 {
		return errMistyped
	}
	expected := &sh.first
	for first := true; ; first = false {
		more, err := s.next('{', '}', first)
		if err != nil || !more {
			return err
		}
		m := expected.Load()
		if m == nil || !s.named(m.name) {
			name, err := s.name()
			if err != nil {
				return err
			}
			if m = sh.find(name); m == nil {
				m = &member{name: string(name[1 : len(name)-1])}
			}
			expected.Store(m)
		}
		if m.read == nil {
			_, err = s.raw()
		} else {
			err = m.read(s, v.Field(m.field))
		}
		if err != nil {
			return err
		}
		expected = &m.next
	}
}

// decodeElement reads the value that comes next into e, which is new.
func decodeElement[T any](s *scanner, e *T) error {
	if sh := shapeOf(reflect.TypeFor[T]()); sh != nil {
		return sh.read(s, reflect.ValueOf(e).Elem())
	}
	raw, err := s.raw()
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, e, decoding)
}
