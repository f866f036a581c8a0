package e2e

import (
	"encoding/json"
)

// TraceReport contains the extensions of a traced or planned operation.
type TraceReport struct {
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

func TraceHeader(value string) map[string]string {
	return map[string]string{"X-ConsoleQL-Trace": value}
}

// Trace sends a query with the trace header and fails the test if there is no report.
func (w *World) Trace(query string, headers ...map[string]string) (TraceReport, Answer) {
	w.T.Helper()
	a := w.Ask(query, Request{Header: MergeHeaders(append(headers, TraceHeader("1"))...)})
	return w.Account(a.Body), a
}

func (w *World) Account(body []byte) TraceReport {
	w.T.Helper()
	told := Decode[TraceReport](w.T, body)
	if told.Extensions.Consoleql == nil {
		w.T.Fatalf("no account: %s", body)
	}
	return told
}

// Sources counts the calls by operation and source.
func (t TraceReport) Sources() Counts {
	n := make(Counts)
	for _, c := range t.Extensions.Consoleql.Calls {
		n[c.Operation+" "+c.Source]++
	}
	return n
}
