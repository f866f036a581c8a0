package e2e

import (
	"fmt"

	"github.com/google/go-cmp/cmp"
)

// Related is a workflow with its relations.
type Related struct {
	ID                      string
	Package, Queue, Version *OnlyID
	Robots                  []OnlyID
}

type RelatedAnswer struct{ Workflows struct{ Nodes []Related } }

func RelatedQuery(first int) string {
	return fmt.Sprintf(`{ workflows(first: %d) { nodes { id package { id } version { id } queue { id } robots { id } } } }`, first)
}

// WantRelated returns the expected answer of RelatedQuery without failures.
func (w *World) WantRelated(first int) []Related {
	var all []Related
	for _, id := range w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[:first] {
		f, _ := w.Sim.Data().Workflow(id)
		r := Related{ID: id, Package: &OnlyID{f.PackageID}, Version: &OnlyID{f.PackageVersionID}, Queue: &OnlyID{f.QueueID}}
		for _, robot := range f.RobotIDs {
			r.Robots = append(r.Robots, OnlyID{robot})
		}
		all = append(all, r)
	}
	return all
}

// CheckRelated compares an answer with want, in which nil stands for a failure with code.
// Without a code, nil stands for a missing entity, which is no error.
func (w *World) CheckRelated(a Answer, want []Related, code string) {
	w.T.Helper()
	if diff := cmp.Diff(want, Decode[RelatedAnswer](w.T, a.Data).Workflows.Nodes); diff != "" {
		w.T.Errorf("- wanted + answered:\n%s", diff)
	}
	failed := make(map[string]bool)
	for i, r := range want {
		for field, none := range map[string]bool{"package": r.Package == nil, "version": r.Version == nil, "queue": r.Queue == nil, "robots": r.Robots == nil} {
			if none {
				failed[fmt.Sprintf("workflows.nodes.%d.%s", i, field)] = true
			}
		}
	}
	if len(failed) == 0 {
		w.T.Fatal("nothing is to fail")
	}
	if code == "" {
		clear(failed)
	}
	for _, e := range a.Errors {
		if !failed[e.FieldPath()] || e.Extensions.Code != code {
			w.T.Errorf("unexpected: %+v", e)
		}
		delete(failed, e.FieldPath())
	}
	if len(failed) > 0 {
		w.T.Errorf("no error at %v", failed)
	}
}

const UnknownID = "00000000-0000-4000-8000-00000000dead"
