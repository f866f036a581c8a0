package consoleclient

import (
	"errors"

	"github.com/go-json-experiment/json"

	"github.com/consoleql/consoleql/internal/scope"
)

// holdsNothing says whether err means that an answer is JSON without the entity or list that it could hold.
func holdsNothing(err error) bool {
	return errors.Is(err, errNotAList) || errors.Is(err, errNoEntity) || errors.Is(err, errEmptyList)
}

// value reads the value that comes next. The bytes must not be kept.
func (a *answer) value() (raw []byte, err error) {
	err = a.whole(func() error {
		raw, err = a.raw()
		return err
	})
	return raw, err
}

// decodeSome reads the entities that a change answers with: a list, bare or wrapped, or one entity in its place. Elements
// in which id, if not nil, finds no id are left out. It fails with errNoEntity where the answer is neither.
func decodeSome[T any](a *answer, id func(*T) string) ([]*T, error) {
	raw, err := a.value()
	if err != nil {
		return nil, err
	}
	entities := []*T{}
	if raw[0] == '{' {
		wrapped, err := wrappedList(raw)
		if err != nil {
			return nil, err
		}
		if wrapped != nil {
			raw = wrapped
		}
	}
	s := &scanner{in: raw, last: true, arena: a.arena}
	switch raw[0] {
	case '{':
		e := new(T)
		if err := readInto(s, e); err != nil {
			return nil, err
		}
		if _, err := checked(e, id); err != nil {
			return nil, err
		}
		return append(entities, e), nil
	case '[':
	default:
		return nil, errNoEntity
	}
	for first := true; ; first = false {
		more, err := s.next('[', ']', first)
		if err != nil || !more {
			return entities, err
		}
		e := new(T)
		if c := s.peek(); c != '{' {
			if err := s.skip(c); err != nil {
				return nil, err
			}
			continue
		}
		if err := readInto(s, e); err != nil {
			return nil, err
		}
		if _, err := checked(e, id); err == nil {
			entities = append(entities, e)
		}
	}
}

// decodeOne reads an entity that stands bare or as {count, list: [entity]}. It fails with errEmptyList where the list is
// empty, and with errNoEntity where id finds none.
func decodeOne[T any](a *answer, id func(*T) string) (*T, error) {
	raw, err := a.value()
	if err != nil {
		return nil, err
	}
	if raw[0] != '{' {
		return nil, errNoEntity
	}
	wrapped, err := wrappedList(raw)
	if err != nil {
		return nil, err
	}
	e := new(T)
	if wrapped == nil {
		if err := readInto(&scanner{in: raw, arena: a.arena}, e); err != nil {
			return nil, err
		}
		return checked(e, id)
	}
	if onlyElement(&scanner{in: wrapped, arena: a.arena}, e) {
		return checked(e, id)
	}
	var list []*T
	if err := json.Unmarshal(wrapped, &list, decoding); err != nil {
		return nil, err
	}
	if len(list) == 0 || list[0] == nil {
		return nil, errEmptyList
	}
	first := &scanner{in: wrapped, arena: a.arena}
	if _, err := first.next('[', ']', true); err != nil {
		return nil, err
	}
	if first.peek() != '{' {
		return checked(list[0], id)
	}
	if err := readInto(first, e); err != nil { // which also reads ids in their canonical form
		return nil, err
	}
	return checked(e, id)
}

// onlyElement reads the object that a list consists of into e, which is new, and says whether it was such a list.
func onlyElement[T any](s *scanner, e *T) bool {
	more, err := s.next('[', ']', true)
	if err != nil || !more || s.peek() != '{' || readInto(s, e) != nil {
		return false
	}
	more, err = s.next('[', ']', false)
	return err == nil && !more
}

// wrappedList finds the list that an entity may be wrapped in: the last member of that name, however it is written; nil
// if there is none.
func wrappedList(raw []byte) (found []byte, err error) {
	s := &scanner{in: raw}
	for first := true; ; first = false {
		more, err := s.next('{', '}', first)
		if err != nil || !more {
			return found, err
		}
		name, err := s.name()
		if err != nil {
			return nil, err
		}
		value, err := s.raw()
		if err != nil {
			return nil, err
		}
		var room [64]byte
		if string(fold(room[:0], unquoted(name))) == "LIST" {
			found = value
		}
	}
}

// checked fails with errNoEntity where id finds none in e, or the empty GUID, which .NET writes where an id is not set.
func checked[T any](e *T, id func(*T) string) (*T, error) {
	if id != nil && (id(e) == "" || id(e) == scope.NoID) {
		return nil, errNoEntity
	}
	return e, nil
}
