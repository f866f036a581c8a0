package jsonobject_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/internal/jsonobject"
)

var errRefused = errors.New("refused")

// read returns the members of a text in their order. It refuses the member "no".
func read(text string, options ...jsontext.Options) (members []string, err error) {
	err = jsonobject.Members([]byte(text), func(name string, value jsontext.Value) error {
		if name == "no" {
			return errRefused
		}
		members = append(members, name+"="+string(value))
		return nil
	}, options...)
	return members, err
}

func TestMembers(t *testing.T) {
	invalid := errors.New("syntax")
	for name, c := range map[string]struct {
		text    string
		members []string
		err     error
	}{
		"empty":              {`{}`, nil, nil},
		"members":            {" {\"a\": 1, \"b\" : {\"c\":[]}}\n", []string{"a=1", `b={"c":[]}`}, nil},
		"repeated":           {`{"a":1,"\u0061":2}`, []string{"a=1", "a=2"}, nil},
		"repeated below":     {`{"a":{"b":1,"b":2}}`, []string{`a={"b":1,"b":2}`}, nil},
		"refused":            {`{"a":1,"no":2,"b":3}`, []string{"a=1"}, errRefused},
		"nothing":            {``, nil, jsonobject.ErrNotObject},
		"array":              {`[]`, nil, jsonobject.ErrNotObject},
		"byte order mark":    {"\uFEFF{}", nil, jsonobject.ErrNotObject},
		"two objects":        {`{}{}`, nil, jsonobject.ErrTrailing},
		"text after it":      {`{} x`, nil, jsonobject.ErrTrailing},
		"no end":             {`{"a":1`, []string{"a=1"}, invalid},
		"no value":           {`{"a"}`, nil, invalid},
		"comma at the end":   {`{"a":1,}`, []string{"a=1"}, invalid},
		"half a surrogate":   {`{"a":"\ud800"}`, nil, invalid},
		"surrogate in name":  {`{"\ud800":1}`, nil, invalid},
		"not UTF-8":          {"{\"a\":\"\xff\"}", nil, invalid},
		"too deep a nesting": {`{"a":` + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + `}`, nil, invalid},
	} {
		t.Run(name, func(t *testing.T) {
			members, err := read(c.text)
			var syntax *jsonobject.SyntaxError
			if !errors.Is(err, c.err) && (!errors.Is(c.err, invalid) || !errors.As(err, &syntax)) {
				t.Errorf("failed with %v, want %v", err, c.err)
			}
			if !slices.Equal(members, c.members) {
				t.Errorf("read %q, want %q", members, c.members)
			}
		})
	}
}

// TestSyntaxErrorHasItsPosition verifies that callers can tell where a text is invalid.
func TestSyntaxErrorHasItsPosition(t *testing.T) {
	_, err := read(`{"a":{"b":"\ud800"}}`)
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); !ok || syntax.JSONPointer != "/a/b" {
		t.Errorf("failed with %v", err)
	}
}

func TestOptions(t *testing.T) {
	if members, err := read("{\"a\":\"\xff\"}", jsontext.AllowInvalidUTF8(true)); err != nil || len(members) != 1 {
		t.Errorf("read %q, %v", members, err)
	}
}
