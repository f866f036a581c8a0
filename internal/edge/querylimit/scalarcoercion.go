package querylimit

import (
	"encoding/json" // only for the type Number, which custom scalars accept
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/internal/fault"
)

// token decodes a value that is neither object nor list. Its syntax has been checked.
func (c *coercion) token() jsontext.Token {
	token, _ := c.dec.ReadToken()
	return token
}

func (c *coercion) scalar(def *ast.Definition) (any, *coercionError) {
	kind := c.dec.PeekKind()
	switch {
	case def.Name == "Int" && kind == '0':
		if n, ok := wholeNumber(c.token().String()); ok {
			if n < math.MinInt32 || n > math.MaxInt32 {
				return nil, &coercionError{reason: notInt32, code: fault.BadUserInput}
			}
			return int64(n), nil
		}
	case def.Name == "Float" && kind == '0':
		if n, err := strconv.ParseFloat(c.token().String(), 64); err == nil {
			return n, nil
		}
	case def.Name == "ID" && kind == '0':
		if id, ok := numberAsID(c.token().String()); ok {
			return id, nil
		}
	case (def.Name == "String" || def.Name == "ID") && kind == '"':
		return c.token().String(), nil
	case def.Name == "Boolean" && (kind == 't' || kind == 'f'):
		return c.token().Bool(), nil
	case !def.BuiltIn:
		return c.any()
	}
	return nil, coercionErrorf("is no %s", def.Name)
}

const notInt32 = "is not an integer of 32 bits"

// wholeNumber parses a JSON number without a fraction, in any notation: 2, 2.0 and 2e0 are
// equal (GraphQL specification, section 3.5.1). It rounds like JavaScript.
func wholeNumber(text string) (float64, bool) {
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil && n == math.Trunc(n)
}

// numberAsID returns a whole number as text. An integer keeps the digits that a float64 would
// lose.
func numberAsID(text string) (string, bool) {
	n, ok := wholeNumber(text)
	switch _, err := strconv.ParseInt(text, 10, 64); {
	case !ok:
		return "", false
	case n == 0:
		return "0", true
	case err == nil:
		return text, true
	}
	format := byte('f')
	if math.Abs(n) >= 1e21 { // JavaScript writes exponents from here
		format = 'e'
	}
	return strconv.FormatFloat(n, format, -1, 64), true
}

// any decodes a value of a custom scalar, which parses itself. Numbers keep their text.
func (c *coercion) any() (any, *coercionError) {
	switch c.dec.PeekKind() {
	case '{':
		values := make(map[string]any)
		_, _ = c.dec.ReadToken()
		return values, c.members(func(name string) (*coercionError, bool) {
			if _, twice := values[name]; twice {
				return coercionErrorf("is there more than once"), true
			}
			value, wrong := c.next()
			values[name] = value
			return wrong, true
		})
	case '[':
		values := []any{}
		_, _ = c.dec.ReadToken()
		for c.dec.PeekKind() != ']' {
			value, wrong := c.next()
			if wrong != nil {
				return nil, wrong.below(ast.PathIndex(len(values)))
			}
			values = append(values, value)
		}
		_, _ = c.dec.ReadToken()
		return values, nil
	case 'n':
		return nil, c.skip()
	case 't', 'f':
		return c.token().Bool(), nil
	case '0':
		return json.Number(c.token().String()), nil
	default:
		return c.token().String(), nil
	}
}

// next is any for a nested value.
func (c *coercion) next() (any, *coercionError) {
	if c.left--; c.left < 0 {
		return nil, coercionErrorf("comes after more than %d values", maxVariableValues)
	}
	return c.any()
}
