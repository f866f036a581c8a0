package e2e

import (
	"net/url"
)

// ListOperations maps lists to their console operations.
var ListOperations = map[string]string{
	"packages": Packages, "queues": Queues, "robots": Robots, "workflows": Workflows, "workflowLayouts": Layouts,
}

// SentQuery returns the query string of the only call of an operation since the last reset,
// without paging parameters.
func (w *World) SentQuery(operation string) url.Values {
	w.T.Helper()
	requests := w.Sim.Requests()
	if len(requests) != 1 || requests[0].Operation != operation {
		w.T.Fatalf("calls %v, want one of %s", w.Calls(), operation)
	}
	values, err := url.ParseQuery(requests[0].RawQuery)
	if err != nil {
		w.T.Fatal(err)
	}
	if values.Has("PageIndex") != values.Has("PageSize") && values.Has("PageIndex") {
		w.T.Errorf("a page without a size: %s", requests[0].RawQuery)
	}
	values.Del("PageIndex")
	values.Del("PageSize")
	return values
}
