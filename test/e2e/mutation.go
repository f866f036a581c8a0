package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Mutate sends a mutation with its input as a variable, and decodes its payload.
func (w *World) Mutate(name string, input map[string]any, selection string, payload any) {
	w.T.Helper()
	a := w.TryMutation(name, input, selection)
	if len(a.Errors) > 0 {
		w.T.Fatalf("%s: %+v", name, a.Errors)
	}
	var data map[string]json.RawMessage
	if err := json.Unmarshal(a.Data, &data); err != nil {
		w.T.Fatal(err)
	}
	if err := json.Unmarshal(data[name], payload); err != nil {
		w.T.Fatalf("%s: %v in %s", name, err, a.Data)
	}
}

func (w *World) TryMutation(name string, input map[string]any, selection string) Answer {
	w.T.Helper()
	typ := strings.ToUpper(name[:1]) + name[1:] + "Input"
	query := fmt.Sprintf("mutation($input: %s!) { %s(input: $input) { %s } }", typ, name, selection)
	return w.Ask(query, Request{Variables: map[string]any{"input": input}})
}
