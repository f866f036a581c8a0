package e2e

import (
	"fmt"

	"github.com/google/go-cmp/cmp"
)

// CheckVisible fails the test unless a window contains the entities that the console shows of
// it, and hasNextPage is true if there are more.
func (w *World) CheckVisible(all []string, first, offset, said int) {
	w.T.Helper()
	var got struct {
		Workflows struct {
			PageInfo struct{ HasNextPage bool }
			Nodes    []struct{ ID string }
		}
	}
	w.Query(fmt.Sprintf(`{ workflows(first: %d, offset: %d) { pageInfo { hasNextPage } nodes { id } } }`, first, offset), &got)
	ids := []string{}
	for _, node := range got.Workflows.Nodes {
		ids = append(ids, node.ID)
	}
	n := len(all)
	want := append([]string{}, all[min(offset, n):min(offset+first, n)]...)
	if diff := cmp.Diff(want, ids); diff != "" {
		w.T.Errorf("first: %d, offset: %d: - wanted + answered:\n%s", first, offset, diff)
	}
	if end := offset + first; end >= max(n, said) && got.Workflows.PageInfo.HasNextPage {
		w.T.Errorf("first: %d, offset: %d: there is more", first, offset)
	} else if said >= n && end < n && !got.Workflows.PageInfo.HasNextPage {
		w.T.Errorf("first: %d, offset: %d: there is no more", first, offset)
	}
}
