package consoleclient

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/internal/scope"
)

// The kinds of JSON values, as jsontext names them.
const (
	kindNull      = jsontext.Kind('n')
	kindString    = jsontext.Kind('"')
	kindNumber    = jsontext.Kind('0')
	kindObject    = jsontext.Kind('{')
	kindObjectEnd = jsontext.Kind('}')
	kindArray     = jsontext.Kind('[')
	kindArrayEnd  = jsontext.Kind(']')
)

// decoding holds the JSON options for responses. It matches PascalCase (document) and camelCase (wire) names, and
// accepts duplicate names and invalid UTF-8. It is a shared read-only value, because its unmarshalers cache the types
// they apply to.
var decoding = newDecoding() //nolint:gochecknoglobals // see above

func newDecoding() json.Options {
	return json.JoinOptions(
		json.MatchCaseInsensitiveNames(true),
		jsontext.AllowDuplicateNames(true),
		jsontext.AllowInvalidUTF8(true),
		json.WithUnmarshalers(json.JoinUnmarshalers(
			json.UnmarshalFromFunc(decodeString),
			json.UnmarshalFromFunc(decodeStringPointer),
			json.UnmarshalFromFunc(decodeBool),
			json.UnmarshalFromFunc(decodeTexts),
			objectLists(),
			json.UnmarshalFromFunc(decodeObject[JobStateNotification]),
			json.UnmarshalFromFunc(decodeObject[AssetContent]),
			json.UnmarshalFromFunc(decodeObject[UserExtensionInfo]),
		)),
	)
}

// decodeString decodes a string. A number or boolean becomes its text.
func decodeString(dec *jsontext.Decoder, v *string) error {
	if k := dec.PeekKind(); k == kindString || k == kindNull {
		return errors.ErrUnsupported // falls back to the default decoding
	}
	s, _, err := readText(dec)
	if err != nil {
		return err
	}
	*v = s
	return nil
}

// decodeStringPointer is decodeString for optional values. Null and the empty GUID, which .NET writes for an unset
// id, become nil.
func decodeStringPointer(dec *jsontext.Decoder, v **string) error {
	s, kind, err := readText(dec)
	if err != nil {
		return err
	}
	*v = nil
	if kind != kindNull && s != scope.NoID {
		*v = &s
	}
	return nil
}

// decodeBool decodes true, "true" and 1 as true, and everything else as false.
func decodeBool(dec *jsontext.Decoder, v *bool) error {
	s, _, err := readText(dec)
	if err != nil {
		return err
	}
	*v = isTrue(s)
	return nil
}

// decodeTexts decodes a list of strings. Other elements become their text, and a single value becomes a list of one.
func decodeTexts(dec *jsontext.Decoder, v *[]string) error {
	*v = nil
	if dec.PeekKind() != kindArray {
		s, kind, err := readText(dec)
		if err == nil && kind != kindNull {
			*v = []string{s}
		}
		return err
	}
	out := []string{}
	err := elements(dec, func() error {
		s, kind, err := readText(dec)
		if err == nil && kind != kindNull {
			out = append(out, s)
		}
		return err
	})
	*v = out
	return err
}

// decodeObjects drops null elements and decodes a value that is no list as nil. The document prints an object where
// it means a list of departments.
func decodeObjects[T any](dec *jsontext.Decoder, v *[]*T) error {
	*v = nil
	if dec.PeekKind() != kindArray {
		return dec.SkipValue()
	}
	out := []*T{}
	err := elements(dec, func() error {
		if dec.PeekKind() != kindObject {
			return dec.SkipValue()
		}
		e := new(T)
		out = append(out, e)
		return json.UnmarshalDecode(dec, e)
	})
	*v = out
	return err
}

// decodeObject decodes a value that is no object as an empty object.
func decodeObject[T any](dec *jsontext.Decoder, _ *T) error {
	if dec.PeekKind() == kindObject {
		return errors.ErrUnsupported // falls back to the default decoding
	}
	return dec.SkipValue()
}

// elements calls read for each element of the next array. read consumes the element.
func elements(dec *jsontext.Decoder, read func() error) error {
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for {
		switch dec.PeekKind() {
		case kindArrayEnd:
			_, err := dec.ReadToken()
			return err
		case jsontext.KindInvalid:
			_, err := dec.ReadToken() // returns the syntax error
			return err
		default:
			if err := read(); err != nil {
				return err
			}
		}
	}
}

// readText consumes the next value and returns a string's text, or the JSON of any other value.
func readText(dec *jsontext.Decoder) (string, jsontext.Kind, error) {
	kind := dec.PeekKind()
	switch kind {
	case kindObject, kindArray:
		v, err := dec.ReadValue()
		return string(v), kind, err
	default:
		t, err := dec.ReadToken()
		if err != nil {
			return "", kind, err
		}
		return t.String(), kind, nil
	}
}

// stamper is an entity that stores the scope of the request that returned it.
type stamper interface{ Stamp(origin scope.Scope) }

// listReader reads a list element by element.
type listReader[T any] struct {
	reader *responseReader
	each   func(e *T, position int)
	n      int // elements so far, including those that are no objects
}

// elements reads the next array. It fails with errNotAList if the array has other values and no object.
func (l *listReader[T]) elements() error {
	var first, more, objects, others bool
	var e *T
	next := func() (err error) {
		e = nil
		if more, err = l.reader.next('[', ']', first); err != nil || !more {
			return err
		}
		if c := l.reader.peek(); c != '{' {
			others = others || c != 'n'
			return l.reader.skip(c)
		}
		objects = true
		e = new(T)
		return readInto(&l.reader.scanner, e)
	}
	size := int(reflect.TypeFor[T]().Size())
	for first = true; ; first = false {
		err := l.reader.withRefill(next)
		switch {
		case err != nil:
			return err
		case !more && others && !objects:
			return errNotAList
		case !more:
			return nil
		}
		if e != nil {
			if err := l.reader.allocate(size); err != nil {
				return err
			}
			l.each(e, l.n)
		}
		if l.n++; l.reader.maxElements > 0 && l.n > l.reader.maxElements {
			return errTooMany
		}
	}
}

// decodeList reads a list as a stream and calls each for every element. The list is the whole response, or its member
// with one of the given lower-case names. "count" is the total length of the list, -1 if the response does not hold
// it. A whole response that is a list tells its length only if no page was requested. An element that is no object is
// skipped but counts as a position. A null list is an empty page, unless the count says that the page has entities.
func decodeList[T any](reader *responseReader, names []string, each func(e *T, position int)) (count, positions int, err error) {
	list := &listReader[T]{reader: reader, each: each}
	c, err := reader.firstByte()
	switch {
	case err != nil:
		return 0, 0, err
	case c == '[':
		err := list.elements()
		if reader.paged {
			return -1, list.n, err
		}
		return list.n, list.n, err
	case c != '{':
		return 0, 0, errNotAList
	}
	counted, found, null := false, false, false
	for first := true; ; first = false {
		var name string
		var kind byte
		if err := reader.withRefill(func() error {
			name, kind, err = reader.member(first)
			return err
		}); err != nil {
			return 0, 0, err
		}
		if kind == '}' {
			break
		}
		wanted := slices.Contains(names, name)
		if wanted && kind == '[' && name != countName {
			found, null = true, false
			err = list.elements()
		} else {
			var raw []byte
			if raw, err = reader.value(); err == nil && name == countName {
				var text string
				err = json.Unmarshal(raw, &text, decoding)
				n, isNumber := parseInt(text)
				count, counted = int(saturate(n)), isNumber
			}
			if wanted && kind == 'n' && !found {
				found, null = true, true
			}
		}
		if err != nil {
			return 0, 0, err
		}
	}
	if !found || null && count > reader.before {
		return 0, 0, errNotAList
	}
	if !counted {
		count = -1
	}
	return count, list.n, nil
}

// countName is the member that holds the total length of a list.
const countName = "count"

// member moves to the next member of the current object. It returns the lower-case name and the first byte of the
// value, or '}' at the object's end.
func (s *scanner) member(first bool) (name string, kind byte, err error) {
	more, err := s.next('{', '}', first)
	if err != nil {
		return "", 0, err
	}
	if !more {
		return "", '}', nil
	}
	raw, err := s.name()
	if err != nil {
		return "", 0, err
	}
	if kind = s.peek(); kind == 0 || kind == '}' {
		return "", 0, unexpected(kind)
	}
	return strings.ToLower(string(unquoted(raw))), kind, nil
}

var (
	errNotAList  = errors.New("the answer holds no list")
	errNoEntity  = errors.New("the answer holds no entity")
	errEmptyList = errors.New("the answer holds an empty list")
	errTooMany   = errors.New("the answer holds more entities than a list may have")
)
