package mcp

import (
	"strings"
	"testing"
)

// TestReadMessage verifies that messages that the SDK cannot decode are refused by the name of the member, without their text.
func TestReadMessage(t *testing.T) {
	t.Parallel()
	const secret = "a-password-of-the-test"
	long := strings.Repeat(secret, 100)
	call := func(params string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":` + params + `}`
	}
	nested := func(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }
	for name, tt := range map[string]struct{ text, says string }{
		"a call":               {call(`{"name":"a","arguments":{"a":"` + strings.Repeat(long, 30) + `"},"_meta":{"progressToken":1}}`), ""},
		"no parameters":        {`{"jsonrpc":"2.0","id":1,"method":"ping"}`, ""},
		"a notification":       {`{"jsonrpc":"2.0","method":"notifications/initialized"}`, ""},
		"nested":               {call(`{"name":"a","arguments":{"a":` + nested(997) + `}}`), ""},
		"nested deeply":        {call(`{"name":"a","arguments":{"a":"` + secret + `","b":` + nested(998) + `}}`), "nests deeper than 1000"},
		"nested very deeply":   {call(`{"name":"a","arguments":{"a":` + nested(100_000) + `}}`), "nests deeper than 1000"},
		"a text as an id":      {`{"jsonrpc":"2.0","id":"","method":"ping"}`, ""},
		"a large id":           {`{"jsonrpc":"2.0","id":-9007199254740991,"method":"ping"}`, ""},
		"too large an id":      {`{"jsonrpc":"2.0","id":9007199254740992,"method":"ping"}`, "id: is neither"},
		"a very large id":      {`{"jsonrpc":"2.0","id":123456789012345678901234567890,"method":"ping"}`, "id: is neither"},
		"a fraction as an id":  {`{"jsonrpc":"2.0","id":1.5,"method":"ping"}`, "id: is neither"},
		"an exponent as an id": {`{"jsonrpc":"2.0","id":1e400,"method":"ping"}`, "id: is neither"},
		"null as an id":        {`{"jsonrpc":"2.0","id":null,"method":"ping"}`, "id: is neither"},
		"a list as an id":      {`{"jsonrpc":"2.0","id":["` + secret + `"],"method":"ping"}`, "id: is neither"},
		"a long text as an id": {`{"jsonrpc":"2.0","id":"` + long + `","method":"ping"}`, "id: is longer than 256"},
		"no version":           {`{"id":1,"method":"ping"}`, "jsonrpc"},
		"another version":      {`{"jsonrpc":"` + long + `","id":1,"method":"ping"}`, "jsonrpc"},
		"a version of numbers": {`{"jsonrpc":2.0,"id":1,"method":"ping"}`, "jsonrpc"},
		"no method":            {`{"jsonrpc":"2.0","id":1}`, "method"},
		"a response":           {`{"jsonrpc":"2.0","id":1,"result":{"a":"` + secret + `"}}`, "method"},
		"a long method":        {`{"jsonrpc":"2.0","id":1,"method":"` + long + `"}`, "method: is longer than 128"},
		"a method of numbers":  {`{"jsonrpc":"2.0","id":1,"method":1}`, "method"},
		"a list of parameters": {call(`["` + secret + `"]`), "params: is not a JSON object"},
		"null as parameters":   {call(`null`), "params: is not a JSON object"},
		"a name of numbers":    {call(`{"name":1,"arguments":{"password":"` + secret + `"}}`), "params.name"},
		"a long name":          {call(`{"name":"` + long + `"}`), "params.name: is longer than 128"},
		"meta as a text":       {call(`{"name":"a","_meta":"` + secret + `"}`), "params._meta"},
		"meta of a list":       {`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":"` + secret + `"}}`, "params._meta"},
		"a state":              {call(`{"name":"a","requestState":{"a":"` + secret + `"}}`), "params.requestState"},
		"responses":            {call(`{"name":"a","inputResponses":"` + secret + `"}`), "params.inputResponses"},
		"long meta":            {call(`{"name":"a","_meta":{"a":"` + long + long + `"}}`), "params: has more than 4096"},
		"long parameters":      {`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"arguments":"` + long + long + `"}}`, "params: has more than 4096"},
	} {
		_, err := readMessage([]byte(tt.text))
		if err != nil {
			said := err.Error()
			if tt.says == "" || !strings.Contains(said, tt.says) || strings.Contains(said, secret) || len(said) > 300 {
				t.Errorf("%s: %.500s", name, said)
			}
		} else if tt.says != "" {
			t.Errorf("%s: is accepted", name)
		}
	}
}
