package questions

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// update writes the document.
var update = flag.Bool("update", false, "write docs/questions.md")

const (
	shown = 1   // elements of a list that the document shows
	wide  = 110 // bytes of a value that stands in one line
)

// printer writes a JSON text with its members in their order. Lists end after some elements, and short values stand in one
// line.
type printer struct{ *json.Decoder }

// value returns the text of the next value, which begins with the token.
func (p printer) value(t *testing.T, token json.Token, indent string) string {
	t.Helper()
	opening, ok := token.(json.Delim)
	if !ok {
		raw := &bytes.Buffer{}
		e := json.NewEncoder(raw)
		e.SetEscapeHTML(false)
		if err := e.Encode(token); err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(raw.String())
	}
	var parts []string
	for p.More() {
		name := ""
		if opening == '{' {
			name = fmt.Sprintf("%q: ", p.token(t))
		}
		parts = append(parts, name+p.value(t, p.token(t), indent+"  "))
	}
	closing := p.token(t)
	if n := len(parts); opening == '[' && n > shown+1 {
		parts = append(parts[:shown], fmt.Sprintf(`"… %d more"`, n-shown))
	}
	if line := fmt.Sprintf("%v%s%v", opening, strings.Join(parts, ", "), closing); len(indent)+len(line) <= wide {
		return line
	}
	return fmt.Sprintf("%v\n%s  %s\n%s%v", opening, indent, strings.Join(parts, ",\n"+indent+"  "), indent, closing)
}

func (p printer) token(t *testing.T) json.Token {
	t.Helper()
	token, err := p.Token()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// answer returns the shortened data of an answer.
func answer(t *testing.T, a e2e.Answer) string {
	t.Helper()
	p := printer{json.NewDecoder(bytes.NewReader(a.Data))}
	return p.value(t, p.token(t), "")
}

// document returns the generated part of docs/questions.md.
func document(t *testing.T) string {
	t.Helper()
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	b := &strings.Builder{}
	line := func(format string, args ...any) { fmt.Fprintf(b, format+"\n", args...) }
	console := consolesim.Options{Irregular: true, Now: func() time.Time { return at }}
	w := e2e.NewWorld(t, console)
	figures := func(q question, robotIDs, ids bool) (calls, rounds int) {
		f := newFacts(w, ids, robotIDs)
		return q.calls(f), q.rounds(f)
	}
	line("| question | calls | rounds | again | new | calls without `Ids` | calls without robots of workflows |")
	line("| --- | --- | --- | --- | --- | --- | --- |")
	for i, q := range questions() {
		calls, rounds := figures(q, true, true)
		without, _ := figures(q, true, false)
		unbound, _ := figures(q, false, true)
		again := q.again(newFacts(w, true, true))
		line("| [%d. %s](#%d-%s) | %d | %d | %d | %d | %d | %d |", i+1, q.title, i+1, anchor(q.title), calls, rounds, again, callsOfNew(t, console, q), without, unbound)
	}
	for i, q := range questions() {
		calls, rounds := figures(q, true, true)
		line("\n## %d. %s\n\n```graphql\n%s\n```\n", i+1, q.title, q.query)
		line("%d calls in %d rounds. %s\n", calls, rounds, q.note)
		line("```json\n%s\n```", answer(t, w.Ask(fill(w, q.query, nil), e2e.Request{})))
	}
	return b.String()
}

// callsOfNew returns the calls of a question that is the first one of a gateway.
func callsOfNew(t *testing.T, console consolesim.Options, q question) int {
	t.Helper()
	w := e2e.NewWorld(t, console)
	w.Sim.ResetCounts()
	w.Ask(fill(w, q.query, nil), e2e.Request{})
	return w.TotalCalls()
}

// anchor returns the fragment of a heading, as GitHub writes it.
func anchor(title string) string {
	return strings.NewReplacer(" ", "-", "?", "", ",", "").Replace(strings.ToLower(title))
}

// TestDocument compares docs/questions.md with the questions and what a gateway answers to them.
func TestDocument(t *testing.T) {
	t.Parallel()
	const path, begin, end = "../../../docs/questions.md", "<!-- questions: go test ./test/e2e/questions -run TestDocument -update -->\n", "<!-- end of questions -->"
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), begin)
	got, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no place for the questions", path)
	}
	want := document(t)
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("%s is out of date: run go test ./test/e2e/questions -run TestDocument -update", path)
	}
}
