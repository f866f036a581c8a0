package e2e

import (
	"fmt"
)

// Walk returns the ids of all workflows by following the cursors. It fails the test if the
// cursors do not end.
func (w *World) Walk(first int) (ids []string) {
	w.T.Helper()
	const most = 200 // more pages than any list of a test has
	after := "null"
	for asked := 0; ; asked++ {
		if asked == most {
			w.T.Fatalf("after %d pages and %d workflows the cursors still lead on", asked, len(ids))
		}
		var got struct {
			Workflows struct {
				PageInfo struct {
					HasNextPage bool
					EndCursor   *string
				}
				Edges []struct {
					Cursor string
					Node   struct{ ID string }
				}
			}
		}
		w.Query(fmt.Sprintf(`{ workflows(first: %d, after: %s) { pageInfo { hasNextPage endCursor } edges { cursor node { id } } } }`, first, after), &got)
		for _, e := range got.Workflows.Edges {
			ids = append(ids, e.Node.ID)
		}
		if !got.Workflows.PageInfo.HasNextPage {
			return ids
		}
		if got.Workflows.PageInfo.EndCursor == nil {
			w.T.Fatalf("after %s there is more, and no cursor leads on", after)
		}
		after = fmt.Sprintf("%q", *got.Workflows.PageInfo.EndCursor)
	}
}
