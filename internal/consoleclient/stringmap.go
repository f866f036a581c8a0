package consoleclient

import (
	"io"
	"slices"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/internal/fault"
)

// StringMap is a JSON object of texts, its members in order of their names and no name twice; nil is none. A value of the
// console that is no text is held as its JSON text; null is left out. It is no map because a list of workflows has one for
// each, with a few members: those take a fifth of the memory that a map would.
type StringMap []StringMember

// StringMember is a member of a StringMap.
type StringMember struct{ Name, Value string }

// settled puts members that were read in order; of those by one name the last counts.
func settled(members []StringMember) StringMap {
	for i := range members {
		if i > 0 && members[i-1].Name >= members[i].Name {
			return sorted(members)
		}
	}
	return members
}

func sorted(members []StringMember) StringMap {
	slices.SortStableFunc(members, func(a, b StringMember) int { return strings.Compare(a.Name, b.Name) })
	kept := members[:0]
	for i, m := range members {
		if i+1 == len(members) || members[i+1].Name != m.Name {
			kept = append(kept, m)
		}
	}
	return kept
}

// UnmarshalJSONFrom accepts an object; whatever else the console sends is none.
func (m *StringMap) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	*m = nil
	if dec.PeekKind() != kindObject {
		return dec.SkipValue()
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	members := []StringMember{}
	for dec.PeekKind() != kindObjectEnd {
		token, err := dec.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		value, kind, err := readText(dec)
		if err != nil {
			return err
		}
		if kind != kindNull {
			members = append(members, StringMember{name, value})
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	*m = settled(members)
	return nil
}

// MarshalJSONTo writes the object, or null for nil.
func (m StringMap) MarshalJSONTo(enc *jsontext.Encoder) error {
	if m == nil {
		return enc.WriteToken(jsontext.Null)
	}
	if err := enc.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for _, member := range m {
		if err := enc.WriteToken(jsontext.String(member.Name)); err != nil {
			return err
		}
		if err := enc.WriteToken(jsontext.String(member.Value)); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndObject)
}

// MarshalJSON is for encoding/json, by which gqlgen's Omittable is encoded.
func (m StringMap) MarshalJSON() ([]byte, error) {
	return jsonv2.Marshal(m, jsontext.AllowInvalidUTF8(true))
}

// MarshalGQL writes the object, its keys in order, or null for nil.
func (m StringMap) MarshalGQL(w io.Writer) {
	// Texts of the console were made valid UTF-8 when they were read, so that this cannot fail; nor do gqlgen's writers.
	_ = jsonv2.MarshalWrite(w, m, jsontext.AllowInvalidUTF8(true))
}

// UnmarshalGQL accepts an object of texts, and null for none; it fails with fault.BadUserInput.
func (m *StringMap) UnmarshalGQL(input any) error {
	if input == nil {
		*m = nil
		return nil
	}
	object, ok := input.(map[string]any)
	if !ok {
		return fault.BadInput("", "is not an object of strings")
	}
	members := make([]StringMember, 0, len(object))
	for name, value := range object {
		s, ok := value.(string)
		if !ok {
			return fault.BadInput("", "the value of %.64q is not a string", name)
		}
		members = append(members, StringMember{name, s})
	}
	*m = settled(members)
	return nil
}
