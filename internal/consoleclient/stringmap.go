package consoleclient

import (
	"io"
	"slices"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/internal/fault"
)

// StringMap is a JSON object of strings, sorted by unique names; nil means none. A value of the console that is no
// string becomes its JSON text; null members are dropped. A slice takes a fifth of a map's memory for the few members
// that each workflow of a list has.
type StringMap []StringMember

// StringMember is a member of a StringMap.
type StringMember struct{ Name, Value string }

// normalizeMembers sorts members as read. Of members with one name it keeps the last.
func normalizeMembers(members []StringMember) StringMap {
	for i := range members {
		if i > 0 && members[i-1].Name >= members[i].Name {
			return sortMembers(members)
		}
	}
	return members
}

func sortMembers(members []StringMember) StringMap {
	slices.SortStableFunc(members, func(a, b StringMember) int { return strings.Compare(a.Name, b.Name) })
	unique := members[:0]
	for i, m := range members {
		if i+1 == len(members) || members[i+1].Name != m.Name {
			unique = append(unique, m)
		}
	}
	return unique
}

// UnmarshalJSONFrom accepts an object. Any other value becomes nil.
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
	*m = normalizeMembers(members)
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

// MarshalJSON serves encoding/json, which gqlgen's Omittable uses.
func (m StringMap) MarshalJSON() ([]byte, error) {
	return jsonv2.Marshal(m, jsontext.AllowInvalidUTF8(true))
}

// MarshalGQL writes the object with sorted keys, or null for nil.
func (m StringMap) MarshalGQL(w io.Writer) {
	// This cannot fail: texts became valid UTF-8 when they were read, and gqlgen's writers do not fail.
	_ = jsonv2.MarshalWrite(w, m, jsontext.AllowInvalidUTF8(true))
}

// UnmarshalGQL accepts an object of strings, and null as nil. It fails with fault.BadUserInput.
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
	*m = normalizeMembers(members)
	return nil
}
