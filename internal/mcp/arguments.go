package mcp

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/jsonobject"
)

// members calls each with the members of an object of arguments; none if there is no object. It refuses a repeated name.
func members(arguments jsontext.Value, each func(name string, value jsontext.Value) error) error {
	if len(arguments) == 0 || arguments.Kind() == 'n' {
		return nil
	}
	seen := make(map[string]bool)
	err := jsonobject.Members(arguments, func(name string, value jsontext.Value) error {
		if seen[name] {
			return fault.BadInput(graphqlhttp.Truncate(name), "is there more than once")
		}
		if err := each(name, value); err != nil {
			return err
		}
		seen[name] = true // after each, which refuses other names than those of the tool
		return nil
	})
	if errors.Is(err, jsonobject.ErrNotObject) || errors.Is(err, jsonobject.ErrTrailing) {
		return fault.BadInput("arguments", "is not a JSON object")
	}
	return err
}

// variables returns the variables of the operation for the arguments of a call. The execution decodes them by their types.
func (t *tool) variables(arguments jsontext.Value) (jsontext.Value, error) {
	given := make(map[string]jsontext.Value)
	var key *string
	err := members(arguments, func(name string, value jsontext.Value) error {
		isVariable, known := t.arguments[name]
		switch {
		case !known:
			return fault.BadInput(graphqlhttp.Truncate(name), "is no argument of %s", t.Name)
		case isVariable:
			given[name] = value.Clone()
			return nil
		case value.Kind() == 'n':
			return nil
		default:
			key = new(string)
			return graphqlhttp.ReadString(name, value, key)
		}
	})
	if err != nil {
		return nil, err
	}
	if key != nil {
		given[t.keyed] = withKey(given[t.keyed], *key)
	}
	return encode(given)
}

// encode encodes a JSON object.
func encode(of map[string]jsontext.Value) (jsontext.Value, error) {
	text, err := json.Marshal(of, json.Deterministic(true), jsontext.AllowDuplicateNames(true))
	if err != nil {
		return nil, fmt.Errorf("encode the variables: %w", err)
	}
	return text, nil
}

// withKey returns an input with the idempotency key. It returns other JSON unchanged. The execution refuses that, and an
// input that has a key of its own.
func withKey(input jsontext.Value, key string) jsontext.Value {
	member, err := jsontext.AppendQuote([]byte(`{"`+idempotencyKey+`":`), key)
	if err != nil || input.Kind() != '{' {
		return input
	}
	if rest := bytes.TrimSpace(input[1:]); rest[0] != '}' {
		member = append(member, ',')
	}
	return append(member, input[1:]...)
}
