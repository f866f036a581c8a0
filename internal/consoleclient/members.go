package consoleclient

import (
	"errors"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"
)

//go:generate go run ./generate Company DepartmentTree Package Queue Robot Workflow WorkflowLayout CompanyUser UploadedPackage PackageUpload JobGroup WorkflowRobotResult WorkflowUpgrade

// members are the names of a struct's fields. What they let pass for a name is what json with the options of decoding
// does.
type members struct {
	exact  map[string]*member // by name in the two ways the console writes it: camelCase and PascalCase
	folded map[string]*member // by folded name
	first  atomic.Pointer[member]
}

// member is a name of a field, or one that nobody wants.
type member struct {
	written string // in JSON, with the colon after it
	field   int    // by the order of the names, or notOurs
	// next is the member that followed last time. Answers have their members in one order, so that it will again.
	next atomic.Pointer[member]
}

// What scanner.field gives for no field.
const (
	unknownField = -1 - iota
	noMore
)

var errMistyped = errors.New("a value is not of the type that is expected")

// newMembers makes a table of names, of which each is its own in Go and JSON.
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

// find gives what a name's JSON stands for.
func (t *members) find(rawName []byte) *member {
	if m := t.exact[string(rawName[1:len(rawName)-1])]; m != nil {
		return m
	}
	name := unquoted(rawName)
	if m := t.exact[string(name)]; m != nil {
		return m
	}
	var room [64]byte
	if m := t.folded[string(fold(room[:0], name))]; m != nil {
		return m
	}
	return &member{written: string(rawName) + ":", field: unknownField}
}

// object is one that is being read.
type object struct {
	members  *members
	expected *atomic.Pointer[member] // what comes next, if it is as the last time; nil before the first member
}

// field goes to the value of the next member of an object and gives the field that it is for; notOurs, or noMore after
// the last.
func (s *scanner) field(o *object) (int, error) {
	if o.expected != nil {
		if m := o.expected.Load(); m != nil && s.at < len(s.in) && s.in[s.at] == ',' && s.follows(s.at+1, m.written) {
			s.at += 1 + len(m.written)
			o.expected = &m.next
			return m.field, nil
		}
	}
	return s.anyField(o)
}

// follows says whether the given text stands at a place, with something after it.
func (s *scanner) follows(at int, text string) bool {
	rest := s.in[at:]
	return len(rest) > len(text) && string(rest[:len(text)]) == text
}

// anyField is field for what is not as the last time.
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
	if m != nil && s.follows(s.at, m.written) {
		s.at += len(m.written)
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

// readInto reads the value that comes next into e, which is new.
func readInto[T any](s *scanner, e *T) error {
	if r, ok := any(e).(interface{ read(s *scanner) error }); ok {
		return r.read(s)
	}
	return readOther(s, e)
}
