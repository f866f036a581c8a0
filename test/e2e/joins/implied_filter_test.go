package joins

import (
	"fmt"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestFiltersAndRelationsAreJoined verifies that a filter with another id than the parent's
// matches nothing, without a call. The parent's own id, in any form, changes nothing.
func TestFiltersAndRelationsAreJoined(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	d, main := w.Sim.Data(), w.Sim.Data().MainDepartmentID()
	queues, packages := d.QueueIDs(main), d.PackageIDs(main)
	const list = `(first: 5, filter: {%s: %q}) { totalCount pageInfo { hasNextPage hasPreviousPage } nodes { id } }`
	for name, tt := range map[string]struct{ parent, id, list, member, other string }{
		"queue.workflows":   {"queue", queues[0], "workflows", "associatedQueueId", queues[1]},
		"queue.robots":      {"queue", queues[0], "robots", "associatedQueueId", queues[1]},
		"package.workflows": {"package", packages[0], "workflows", "packageId", packages[1]},
	} {
		t.Run(name, func(t *testing.T) {
			ask := func(member, id string) string {
				return string(w.Ask(fmt.Sprintf(`{ %s(id: %q) { list: %s`+list+` } }`, tt.parent, tt.id, tt.list, member, id), e2e.Request{}).Data)
			}
			w.Sim.ResetCounts()
			if got := ask(tt.member, tt.other); !strings.Contains(got, `{"list":{"totalCount":0,"pageInfo":{"hasNextPage":false,"hasPreviousPage":false},"nodes":[]}}`) {
				t.Errorf("another id: %s", got)
			}
			if n := w.TotalCalls(); n != 1 {
				t.Errorf("%d calls, want the parent's alone", n)
			}
			own := ask("name", "")
			for _, form := range []string{tt.id, strings.ToUpper(tt.id)} {
				if got := ask(tt.member, form); got != own {
					t.Errorf("%s: %s, want %s", form, got, own)
				}
			}
		})
	}
	t.Run("version.workflows", func(t *testing.T) {
		for _, member := range []string{"packageId", "packageVersionId"} {
			a := w.Ask(fmt.Sprintf(`{ package(id: %q) { versions { list: workflows`+list+` } } }`, packages[0], member, packages[1]), e2e.Request{})
			if len(a.Errors) > 0 || strings.Contains(string(a.Data), `"totalCount":1`) || !strings.Contains(string(a.Data), `"totalCount":0`) {
				t.Errorf("%s: %s", member, a.Body)
			}
		}
	})
}
