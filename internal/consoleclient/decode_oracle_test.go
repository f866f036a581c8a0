package consoleclient

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// These decoders use json alone. They are the reference for decodeList and decodeOne, which use generated readers.

func listByJSON[T any](dec *jsontext.Decoder, names []string, each func(e *T, place int)) (count, places int, err error) {
	n := 0
	one := func() error {
		place := n
		n++
		if dec.PeekKind() == kindNull {
			return dec.SkipValue()
		}
		e := new(T)
		if err := json.UnmarshalDecode(dec, e); err != nil {
			return err
		}
		each(e, place)
		return nil
	}
	if dec.PeekKind() == kindArray {
		err := elements(dec, one)
		return n, n, err
	}
	if dec.PeekKind() != kindObject {
		return 0, 0, errNotAList
	}
	if _, err := dec.ReadToken(); err != nil {
		return 0, 0, err
	}
	counted, found := false, false
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
			found = true
			err = elements(dec, one)
		default:
			found = found || wanted && kind == kindNull
			err = dec.SkipValue()
		}
		if err != nil {
			return 0, 0, err
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return 0, 0, err
	}
	if !found {
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
	var wrapped struct {
		List jsontext.Value `json:"list"`
	}
	if raw.Kind() != kindObject {
		return nil, errNoEntity
	}
	if err := json.Unmarshal(raw, &wrapped, decoding); err != nil {
		return nil, err
	}
	if wrapped.List != nil {
		var list []*T
		if err := json.Unmarshal(wrapped.List, &list, decoding); err != nil {
			return nil, err
		}
		if len(list) == 0 || list[0] == nil {
			return nil, errEmptyList
		}
		return requireID(list[0], id)
	}
	e := new(T)
	if err := json.Unmarshal(raw, e, decoding); err != nil {
		return nil, err
	}
	return requireID(e, id)
}
