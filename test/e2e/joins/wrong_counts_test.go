package joins

import (
	"flag"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

var everyPageSize = flag.Bool("every-page-size", false, "let TestWrongCounts read pages of all sizes")

// TestWrongCounts reads lists with a wrong count. No visible entity is lost or repeated,
// whichever window is read first.
func TestWrongCounts(t *testing.T) {
	t.Parallel()
	main := e2e.AnyData(t).MainDepartmentID()
	all := e2e.AnyData(t).WorkflowIDs(main) // 66
	n := len(all)
	count := regexp.MustCompile(`"count":-?\d+`)
	windows := []struct{ first, offset int }{{200, 0}, {500, 0}, {n, 0}, {30, 40}, {10, n - 3}, {25, 20}, {5, 0}, {20, n}, {50, n}, {20, n + 3}, {7, n + 1}}
	clamps := []int{20}
	if *everyPageSize {
		clamps = []int{7, 20, 500}
	}
	for _, clamp := range clamps {
		for _, said := range []int{n + 1, n + 20, n + 22, 500, n - 1, 41, 40, 60, 21, 20, 14, 0, -1} {
			t.Run(fmt.Sprintf("pages of %d, count %d", clamp, said), func(t *testing.T) {
				w := e2e.NewWorld(t, consolesim.Options{PageClamp: clamp}, e2e.RewriteAnswers(t, func(r *http.Request, body string) string {
					if !strings.HasSuffix(r.URL.Path, "/openapi/workflows") {
						return body
					}
					return count.ReplaceAllString(body, fmt.Sprintf(`"count":%d`, said))
				}))
				for _, s := range rotated(windows, said+clamp) {
					if said >= 0 && said < n && s.offset > 0 {
						continue
					}
					checkVisible(w, all, s.first, s.offset, said)
				}
				for _, order := range []string{"ASC", "DESC"} {
					var got struct {
						Workflows struct{ Nodes []struct{ ID string } }
					}
					w.Query(fmt.Sprintf(`{ workflows(first: 500, order: %s) { nodes { id } } }`, order), &got)
					if len(got.Workflows.Nodes) != n {
						t.Errorf("%s: %d nodes of %d", order, len(got.Workflows.Nodes), n)
					}
				}
				if said >= 0 && said < n {
					return // a window beyond a count that is too small is not requested
				}
				for _, first := range []int{13, 50} {
					if diff := cmp.Diff(all, walk(w, first)); diff != "" {
						t.Errorf("by cursors, %d at once: - want + answered:\n%s", first, diff)
					}
				}
			})
		}
	}
}

// rotated starts a list with another element, so that each is once the first one.
func rotated[T any](list []T, by int) []T {
	by = max(0, by) % len(list)
	return append(slices.Clone(list[by:]), list[:by]...)
}

// checkVisible fails the test unless a window contains the entities that the console shows of
// it, and hasNextPage is true if there are more.
func checkVisible(w *e2e.World, all []string, first, offset, said int) {
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
		w.T.Errorf("first: %d, offset: %d: - want + answered:\n%s", first, offset, diff)
	}
	if end := offset + first; end >= max(n, said) && got.Workflows.PageInfo.HasNextPage {
		w.T.Errorf("first: %d, offset: %d: there is more", first, offset)
	} else if said >= n && end < n && !got.Workflows.PageInfo.HasNextPage {
		w.T.Errorf("first: %d, offset: %d: there is no more", first, offset)
	}
}
