package consoleclient

import (
	"errors"

	"github.com/go-json-experiment/json"

	"github.com/consoleql/consoleql/internal/scope"
)

// isMissingResult reports whether err means that a response is JSON without the optional entity or list.
func isMissingResult(err error) bool {
	return errors.Is(err, errNotAList) || errors.Is(err, errNoEntity) || errors.Is(err, errEmptyList)
}

// value reads the next value. The returned bytes are valid until the next read.
func (a *responseReader) value() (raw []byte, err error) {
	err = a.withRefill(func() error {
		raw, err = a.raw()
		return err
	})
	return raw, err
}

// decodeEntities reads the entities in the response to a mutation: a list, bare or wrapped, or a single entity. If id is
// not nil, elements without an id are dropped. It fails with errNoEntity for any other response.
func decodeEntities[T any](a *responseReader, id func(*T) string) ([]*T, error) {
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
		if _, err := requireID(e, id); err != nil {
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
		if _, err := requireID(e, id); err == nil {
			entities = append(entities, e)
		}
	}
}

// decodeEntity reads an entity that is bare or wrapped as {count, list: [entity]}. It fails with errEmptyList if the
// list is empty, and with errNoEntity if the entity has no id.
func decodeEntity[T any](a *responseReader, id func(*T) string) (*T, error) {
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
		return requireID(e, id)
	}
	if onlyElement(&scanner{in: wrapped, arena: a.arena}, e) {
		return requireID(e, id)
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
		return requireID(list[0], id)
	}
	if err := readInto(first, e); err != nil { // also reads ids in their canonical form
		return nil, err
	}
	return requireID(e, id)
}

// onlyElement reads the single object of a list into e, which must be zero. It reports whether the list has exactly
// one object.
func onlyElement[T any](s *scanner, e *T) bool {
	more, err := s.next('[', ']', true)
	if err != nil || !more || s.peek() != '{' || readInto(s, e) != nil {
		return false
	}
	more, err = s.next('[', ']', false)
	return err == nil && !more
}

// wrappedList returns the list that wraps an entity: the last member named "list" in any case. It returns nil if
// there is none.
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

// requireID fails with errNoEntity if the id of e is missing or is the empty GUID, which .NET writes for an unset id.
func requireID[T any](e *T, id func(*T) string) (*T, error) {
	if id != nil && (id(e) == "" || id(e) == scope.NoID) {
		return nil, errNoEntity
	}
	return e, nil
}
