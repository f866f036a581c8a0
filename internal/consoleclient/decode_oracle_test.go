package consoleclient

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// These decoders use json alone. They are the reference for decodeList and decodeOne, which use generated readers.

func listByJSON[T any](dec *jsontext.Decoder, names []string, each func(e *T, position int)) (count, positions int, err error) {
	n, objects, others := 0, 0, 0
	one := func() error {
		position := n
		n++
		switch dec.PeekKind() {
		case kindObject:
			objects++
		case kindNull:
			return dec.SkipValue()
		default:
			others++
			return dec.SkipValue()
		}
		e := new(T)
		if err := json.UnmarshalDecode(dec, e); err != nil {
			return err
		}
		each(e, position)
		return nil
	}
	all := func() error {
		objects, others = 0, 0
		if err := elements(dec, one); err != nil || objects > 0 || others == 0 {
			return err
		}
		return errNotAList
	}
	if dec.PeekKind() == kindArray {
		err := all()
		return n, n, err
	}
	if dec.PeekKind() != kindObject {
		return 0, 0, errNotAList
	}
	if _, err := dec.ReadToken(); err != nil {
		return 0, 0, err
	}
	counted, found, null := false, false, false
	for dec.PeekKind() != kindObjectEnd {
		t, err := dec.ReadToken()
		if err != nil {
			return 0, 0, err
		}
		name := strings.ToLower(t.String())
		kind := dec.PeekKind()
		switch wanted := slices.Contains(names, name); {
		case name == "count":
			var text string
			text, _, err = readText(dec)
			n, isNumber := parseInt(text)
			count, counted = int(saturate(n)), isNumber
		case wanted && kind == kindArray:
			found, null = true, false
			err = all()
		default:
			null = null || wanted && kind == kindNull && !found
			found = found || null
			err = dec.SkipValue()
		}
		if err != nil {
			return 0, 0, err
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return 0, 0, err
	}
	if !found || null && count > 0 {
		return 0, 0, errNotAList
	}
	if !counted {
		count = -1
	}
	return count, n, nil
}

func oneByJSON[T any](dec *jsontext.Decoder, id func(*T) string) (*T, error) {
	raw, err := dec.ReadValue()
	if err != nil {
		return nil, err
	}
	if raw.Kind() != kindObject {
		return nil, errNoEntity
	}
	var wrapped struct {
		List  jsontext.Value `json:"list"`
		Count string         `json:"count"`
	}
	if err := json.Unmarshal(raw, &wrapped, decoding); err != nil {
		return nil, err
	}
	e := new(T)
	isList := wrapped.List.Kind() == kindArray || wrapped.List.Kind() == kindObject
	if !isList || id != nil {
		err := json.Unmarshal(raw, e, decoding)
		if err == nil {
			_, err = requireID(e, id)
		}
		switch {
		case err == nil:
			return e, nil
		case !isList:
			return nil, err
		}
	}
	if wrapped.List.Kind() == kindObject {
		return nil, errNoEntity
	}
	var list []jsontext.Value
	if err := json.Unmarshal(wrapped.List, &list, decoding); err != nil {
		return nil, err
	}
	for _, element := range list {
		if element.Kind() == kindObject {
			e := new(T)
			if err := json.Unmarshal(element, e, decoding); err != nil {
				return nil, err
			}
			return requireID(e, id)
		}
	}
	if n, _ := parseInt(wrapped.Count); len(list) == 0 && n == 0 {
		return nil, errEmptyList
	}
	return nil, errNoEntity
}
