package consoleclient

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/internal/scope"
	"github.com/consoleql/consoleql/internal/slab"
)

// The readers consume the next value and set *p, with the same results as json with the options of decoding.

// readOther reads a value with json.
func readOther[T any](s *scanner, p *T) error {
	raw, err := s.raw()
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, p, decoding)
}

func readString(s *scanner, p *string) error {
	text, _, err := s.text()
	*p = text
	return err
}

func readStringPointer(s *scanner, p **string) error {
	text, kind, err := s.text()
	*p = nil
	if err == nil && kind != kindNull && text != scope.NoID {
		*p = s.arena.pointer(text)
	}
	return err
}

// readID is readString for an entity's id. It converts a GUID of any form to the canonical one.
func readID(s *scanner, p *string) error {
	err := readString(s, p)
	*p = scope.Canonical(*p)
	return err
}

// readIDPointer is readID for optional ids. Null and the empty GUID, which .NET writes for an unset id, become nil. Equal ids
// of a response share memory: all entities of a list usually have the same company, department and users.
func readIDPointer(s *scanner, p **string) error {
	var slot **string
	if next := s.in[s.pos:]; len(next) > guidLength+1 && next[0] == '"' && next[guidLength+1] == '"' {
		guid := next[1 : guidLength+1]
		if slot = s.arena.internSlot(guid); *slot != nil && **slot == string(guid) {
			*p = *slot
			s.pos += guidLength + 2
			return nil
		}
	}
	text, kind, err := s.text()
	*p = nil
	if text = scope.Canonical(text); err == nil && kind != kindNull && text != scope.NoID {
		*p = s.arena.pointer(text)
		if slot != nil && isGUID(text) { // any other text may have a quotation mark
			*slot = *p
		}
	}
	return err
}

// readIDs is readTexts for ids.
func readIDs(s *scanner, p *[]string) error {
	err := readTexts(s, p)
	for i, id := range *p {
		(*p)[i] = scope.Canonical(id)
	}
	return err
}

func readBool(s *scanner, p *bool) error {
	text, _, err := s.plain()
	*p = isTrue(string(text))
	return err
}

func readInt(s *scanner, p *Int) error {
	text, _, err := s.plain()
	*p = toInt(text)
	return err
}

// toInt converts text as Int.UnmarshalJSONFrom does.
func toInt(text []byte) Int {
	const digits = 9 // always fit
	n := Int(0)
	for i, c := range text {
		if c < '0' || c > '9' || i == digits {
			other, _ := parseInt(string(text))
			return saturate(other)
		}
		n = 10*n + Int(c-'0')
	}
	return n
}

func readDateTime(s *scanner, p *DateTime) error {
	text, kind, err := s.text()
	*p = ""
	if kind == kindString {
		*p, _ = dateTimeOf(text) // as UnmarshalJSONFrom does
	}
	return err
}

func readTexts(s *scanner, p *[]string) error {
	*p = nil
	if s.peek() != '[' {
		text, kind, err := s.text()
		if err == nil && kind != kindNull {
			*p = []string{text}
		}
		return err
	}
	s.arena.list = s.arena.list[:0]
	for first := true; ; first = false {
		more, err := s.next('[', ']', first)
		if err != nil || !more {
			*p = s.arena.copyStrings(s.arena.list)
			return err
		}
		text, kind, err := s.text()
		if err != nil {
			return err
		}
		if kind != kindNull {
			s.arena.list = append(s.arena.list, text)
		}
	}
}

func readStringMap(s *scanner, p *StringMap) error {
	*p = nil
	if s.peek() != '{' {
		return s.skip(s.peek())
	}
	s.arena.members = s.arena.members[:0]
	for first := true; ; first = false {
		more, err := s.next('{', '}', first)
		if err != nil || !more {
			*p = s.arena.maps.Clone(normalizeMembers(s.arena.members))
			return err
		}
		name, err := s.name()
		if err != nil {
			return err
		}
		value, kind, err := s.text()
		if err != nil {
			return err
		}
		if kind != kindNull {
			s.arena.members = append(s.arena.members, StringMember{s.arena.memberName(unquoted(name)), value})
		}
	}
}

func readEnum[E ~uint8](s *scanner, p *E, table *enum) error {
	text, kind, err := s.plain()
	*p = E(table.value(text, kind))
	return err
}

// readPointer reads null as nil, and any other value with read into a struct of alloc.
func readPointer[T any](s *scanner, p **T, alloc *slab.Allocator[T], read func(*scanner, *T) error) error {
	if s.peek() == 'n' {
		*p = nil
		return s.skip('n')
	}
	if *p == nil {
		*p = alloc.New()
	}
	return read(s, *p)
}

func readEnumPointer[E ~uint8](s *scanner, p **E, table *enum) error {
	return readPointer(s, p, &slab.Allocator[E]{}, func(s *scanner, p *E) error { return readEnum(s, p, table) })
}

// readable is a pointer to a struct with a generated reader.
type readable[T any] interface {
	*T
	read(s *scanner) error
}

// readObject reads an object, and null as nil. If lenient, any other value becomes an empty object.
func readObject[T any, P readable[T]](s *scanner, p **T, alloc *slab.Allocator[T], lenient bool) error {
	return readPointer(s, p, alloc, func(s *scanner, e *T) error {
		if c := s.peek(); c != '{' && lenient {
			return s.skip(c)
		}
		return P(e).read(s)
	})
}

// readObjects reads a list of objects as decodeObjects does.
func readObjects[T any, P readable[T]](s *scanner, p *[]*T, alloc *slab.Allocator[T]) error {
	*p = nil
	if c := s.peek(); c != '[' {
		return s.skip(c)
	}
	var few [8]*T
	list := few[:0]
	for first := true; ; first = false {
		more, err := s.next('[', ']', first)
		if err != nil || !more {
			*p = append(make([]*T, 0, len(list)), list...)
			return err
		}
		c := s.peek()
		if c != '{' {
			if err := s.skip(c); err != nil {
				return err
			}
			continue
		}
		e := alloc.New()
		list = append(list, e)
		if err := P(e).read(s); err != nil {
			return err
		}
	}
}

// isTrue reports whether text is "true" in any case, or "1".
func isTrue(text string) bool { return text == "1" || strings.EqualFold(text, "true") }

// value returns the value for a name or an integer, 0 for anything else.
func (e *enum) value(text []byte, kind jsontext.Kind) uint8 {
	if kind != kindString && kind != kindNumber {
		return 0
	}
	if known, ok := e.exact[string(text)]; ok {
		return known
	}
	s := string(text)
	if known, ok := e.byName[strings.ToLower(strings.TrimSpace(s))]; ok {
		return known
	}
	if n, ok := parseInt(s); ok && n >= 0 && int(n) < len(e.names)-1 {
		return uint8(n + 1) //nolint:gosec // less than the number of names
	}
	return 0
}
