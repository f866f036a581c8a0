package caching

import (
	"encoding/json"

	"github.com/consoleql/consoleql/test/e2e"
)

// traceReport contains the extensions of a traced or planned operation.
type traceReport struct {
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

func traceHeader(value string) map[string]string {
	return map[string]string{"X-ConsoleQL-Trace": value}
}

// trace sends a query with the trace header and fails the test if there is no report.
func trace(w *e2e.World, query string, headers ...map[string]string) (traceReport, e2e.Answer) {
	w.T.Helper()
	a := w.Ask(query, e2e.Request{Header: e2e.MergeHeaders(append(headers, traceHeader("1"))...)})
	return report(w, a.Body), a
}

func report(w *e2e.World, body []byte) traceReport {
	w.T.Helper()
	got := e2e.Decode[traceReport](w.T, body)
	if got.Extensions.Consoleql == nil {
		w.T.Fatalf("no account: %s", body)
	}
	return got
}

// sources counts the calls by operation and source.
func (t traceReport) sources() e2e.Counts {
	n := make(e2e.Counts)
	for _, c := range t.Extensions.Consoleql.Calls {
		n[c.Operation+" "+c.Source]++
	}
	return n
}
