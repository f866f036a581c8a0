package e2e

import (
	"strings"

	"github.com/google/go-cmp/cmp"
)

// WithIDs returns the number of calls with the parameter Ids since the last reset.
func (w *World) WithIDs() int {
	n := 0
	for _, r := range w.Sim.Requests() {
		if strings.Contains(r.RawQuery, "Ids=") {
			n++
		}
	}
	return n
}

// CheckJoin queries workflows with their relations and compares them with the data.
func (w *World) CheckJoin(first int) {
	w.T.Helper()
	a := w.Ask(RelatedQuery(first), Request{})
	if len(a.Errors) > 0 {
		w.T.Fatalf("errors: %+v", a.Errors)
	}
	if diff := cmp.Diff(w.WantRelated(first), Decode[RelatedAnswer](w.T, a.Data).Workflows.Nodes); diff != "" {
		w.T.Errorf("- console's + answered:\n%s", diff)
	}
}
