package consoleclient

import (
	"errors"

	"github.com/consoleql/consoleql/internal/scope"
)

// isMissingResult reports whether err means that a response is JSON without the optional entity or list.
func isMissingResult(err error) bool {
	return errors.Is(err, errNotAList) || errors.Is(err, errNoEntity) || errors.Is(err, errEmptyList)
}

// value reads the next value. The returned bytes are valid until the next read.
func (r *responseReader) value() (raw []byte, err error) {
	err = r.withRefill(func() error {
		raw, err = r.raw()
		return err
	})
	return raw, err
}

// decodeEntities reads the entities in the response to a mutation: a list, bare or wrapped, or a single entity. If id is
// not nil, elements without an id are dropped. It fails with errNoEntity for any other response.
func decodeEntities[T any](reader *responseReader, id func(*T) string) ([]*T, error) {
	list, err := reader.value()
	if err != nil {
		return nil, err
	}
	entities := []*T{}
	if list[0] == '{' {
		e, wrapped, err := unwrap(reader, list, id)
		if err != nil {
			return nil, err
		}
		if e != nil {
			return append(entities, e), nil
		}
		list = wrapped.list
	}
	switch list[0] {
	case '[':
	case '{': // one entity in place of the list
		e := new(T)
		if err = readInto(&scanner{in: list, arena: reader.arena}, e); err == nil {
			e, err = requireID(e, id)
		}
		if err != nil {
			return nil, err
		}
		return append(entities, e), nil
	default:
		return nil, errNoEntity
	}
	_, err = eachObject(&scanner{in: list, arena: reader.arena}, func(e *T) bool {
		if e, err := requireID(e, id); err == nil {
			entities = append(entities, e)
		}
		return true
	})
	return entities, err
}

// decodeEntity reads an entity that is bare or the first object of {count, list: [entity]}. It fails with errEmptyList
// if such a list is empty by its count, too. It fails with errNoEntity for any other response without an entity and
// its id.
func decodeEntity[T any](reader *responseReader, id func(*T) string) (*T, error) {
	raw, err := reader.value()
	if err != nil {
		return nil, err
	}
	if raw[0] != '{' {
		return nil, errNoEntity
	}
	found, wrapped, err := unwrap(reader, raw, id)
	switch {
	case err != nil || found != nil:
		return found, err
	case wrapped.list[0] != '[':
		return nil, errNoEntity
	}
	positions, err := eachObject(&scanner{in: wrapped.list, arena: reader.arena}, func(e *T) bool {
		found = e
		return false
	})
	switch {
	case err != nil:
		return nil, err
	case found != nil:
		return requireID(found, id)
	case positions == 0 && wrapped.count == 0:
		return nil, errEmptyList
	}
	return nil, errNoEntity
}

// eachObject reads the objects of a list until each returns false, and skips other elements. It returns the number of
// elements that it has read or skipped.
func eachObject[T any](s *scanner, each func(*T) bool) (positions int, err error) {
	for ; ; positions++ {
		more, err := s.next('[', ']', positions == 0)
		if err != nil || !more {
			return positions, err
		}
		if c := s.peek(); c != '{' {
			if err := s.skip(c); err != nil {
				return positions, err
			}
			continue
		}
		e := new(T)
		if err := readInto(s, e); err != nil {
			return positions, err
		}
		if !each(e) {
			return positions + 1, nil
		}
	}
}

// wrapper is the object {count, list} around entities. Its list is an array or an object. The count is 0 if the wrapper
// has none.
type wrapper struct {
	list  []byte
	count int64
}

// unwrap returns the entity that an object is, or nil and the wrapper that it is instead. An object with an id is an
// entity, whatever its member list holds. Without such a list it is no wrapper.
func unwrap[T any](reader *responseReader, raw []byte, id func(*T) string) (*T, wrapper, error) {
	w, err := readWrapper(raw)
	if err != nil || w.list != nil && id == nil {
		return nil, w, err
	}
	e := new(T)
	if err = readInto(&scanner{in: raw, arena: reader.arena}, e); err == nil {
		_, err = requireID(e, id)
	}
	switch {
	case err == nil:
		return e, w, nil
	case w.list != nil:
		return nil, w, nil
	}
	return nil, w, err
}

// readWrapper reads the members of a wrapper, in any case. Of several with one name it takes the last.
func readWrapper(raw []byte) (w wrapper, err error) {
	s := &scanner{in: raw}
	for first := true; ; first = false {
		more, err := s.next('{', '}', first)
		if err != nil || !more {
			return w, err
		}
		name, err := s.name()
		if err != nil {
			return w, err
		}
		value, err := s.raw()
		if err != nil {
			return w, err
		}
		var room [64]byte
		switch string(fold(room[:0], unquoted(name))) {
		case "LIST":
			if w.list = value; value[0] != '[' && value[0] != '{' {
				w.list = nil
			}
		case "COUNT":
			if value[0] == '"' {
				value = unquoted(value)
			}
			w.count, _ = parseInt(string(value))
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
