package e2e

import (
	"encoding/json"
)

// traced is what the extensions tell of an operation.
type traced struct {
	Data       json.RawMessage
	Extensions struct {
		Consoleql *struct {
			Calls []struct {
				Operation, Source, Code string
				StartMs, DurationMs     float64
				Status                  int
				AgeMs                   *float64
			}
			ConsoleCalls int
			Batches      []struct {
				Kind       string
				Keys, Kept int
			}
			DurationMs float64
			Cache      string
			Plan       *plan
		}
		Freshness map[string]struct {
			AgeMs float64
			Stale bool
		}
	}
}

type plan struct {
	Depth, Rounds, ConsoleCalls int
	Steps                       []struct {
		Round, Entities, Calls int
		Kind, Field, How       string
		Operation              string
	}
	OrMore  bool
	Refused string
}

func Asking(value string) map[string]string { return map[string]string{"X-ConsoleQL-Trace": value} }

// Trace asks with the header and fails the test where there is no account.
func (w *World) Trace(query string, headers ...map[string]string) (traced, Answer) {
	w.T.Helper()
	a := w.Ask(query, Request{Header: With(append(headers, Asking("1"))...)})
	return w.Account(a.Body), a
}

func (w *World) Account(body []byte) traced {
	w.T.Helper()
	told := Decode[traced](w.T, body)
	if told.Extensions.Consoleql == nil {
		w.T.Fatalf("no account: %s", body)
	}
	return told
}

// Sources counts the calls by operation and source.
func (t traced) Sources() Counts {
	n := make(Counts)
	for _, c := range t.Extensions.Consoleql.Calls {
		n[c.Operation+" "+c.Source]++
	}
	return n
}
