package entity

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/capabilities"
	"github.com/consoleql/consoleql/internal/cachedconsole"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// TestIDsOnLimitedPage verifies that existing entities are found if the console takes `Ids` and limits its pages. The
// same holds if it counts only those of the page.
func TestIDsOnLimitedPage(t *testing.T) {
	ids := make([]string, 80)
	for i := range ids {
		ids[i] = fmt.Sprintf("00000000-0000-4000-8000-%012d", i+1)
	}
	const absent = 3 // the last ones do not exist
	list := func(countsPage bool) func(context.Context, scope.Scope, cc.List[cc.QueueFilter]) (*cc.Page[cc.Queue], error) {
		return func(_ context.Context, _ scope.Scope, l cc.List[cc.QueueFilter]) (*cc.Page[cc.Queue], error) {
			size := min(l.PageSize, 50)
			matching := slices.DeleteFunc(slices.Clone(ids[:len(ids)-absent]), func(id string) bool { return len(l.IDs) > 0 && !slices.Contains(l.IDs, id) })
			p := &cc.Page[cc.Queue]{Count: len(matching)}
			for _, id := range matching[min(l.PageIndex*size, len(matching)):min((l.PageIndex+1)*size, len(matching))] {
				p.List = append(p.List, &cc.Queue{ID: id})
			}
			if p.Served = len(p.List); countsPage {
				p.Count = p.Served
			}
			return p, nil
		}
	}
	get := func(_ context.Context, _ scope.Scope, id string) (*cc.Queue, error) {
		if slices.Index(ids, id) >= len(ids)-absent {
			return nil, fault.New(fault.NotFound, "no queue")
		}
		return &cc.Queue{ID: id}, nil
	}
	for _, mode := range []capabilities.IDsMode{capabilities.IDsOn, capabilities.IDsAuto} {
		for name, countsPage := range map[string]bool{"counts the list": false, "counts the page": true} {
			t.Run(fmt.Sprint(mode, " ", name), func(t *testing.T) {
				known := capabilities.New(capabilities.Options{IDs: mode, PageSize: 500, URLBytes: 7500, Relearn: time.Hour, Now: time.Now})
				x := batch.New(principal.NewContext(t.Context(), principal.FromToken("ann")), batch.Options{Concurrency: 64})
				defer x.Close()
				queues := New(x, &Kind[cc.Queue, cc.QueueFilter]{
					Listed: cachedconsole.NewListedKinds().Queues, List: list(countsPage), Get: get, Scope: (*cc.Queue).Scope,
				}, known)
				thunks := queues.LoadEach(x.LookAhead(), scope.Scope{CompanyID: "c", DepartmentID: "d"}, ids)
				queues.Flush()
				for i, thunk := range thunks {
					v, err := thunk()
					if err != nil {
						t.Fatal(err)
					}
					if exists := i < len(ids)-absent; exists != (v != nil) {
						t.Errorf("entity %d: answered %v", i, v)
					}
				}
			})
		}
	}
}

// TestScanByIDs verifies that a scan by ids that all exist is one call, also for as many as a usual limit of pages.
func TestScanByIDs(t *testing.T) {
	for _, n := range []int{19, 20, 50, 100, 101} {
		ids := make([]string, n)
		for i := range ids {
			ids[i] = fmt.Sprintf("00000000-0000-4000-8000-%012d", i+1)
		}
		calls := 0
		queues := Kind[cc.Queue, cc.QueueFilter]{
			Listed: cachedconsole.NewListedKinds().Queues, Scope: (*cc.Queue).Scope,
			List: func(_ context.Context, _ scope.Scope, l cc.List[cc.QueueFilter]) (*cc.Page[cc.Queue], error) {
				calls++
				p := &cc.Page[cc.Queue]{Count: len(l.IDs)}
				for _, id := range l.IDs[min(l.PageIndex*l.PageSize, n):min((l.PageIndex+1)*l.PageSize, n)] {
					p.List = append(p.List, &cc.Queue{ID: strings.ToUpper(id)})
				}
				p.Served = len(p.List)
				return p, nil
			},
		}
		x := batch.New(principal.NewContext(t.Context(), principal.FromToken("ann")), batch.Options{Concurrency: 64})
		head, err := New(x, &queues, gateway()).Head(x.Resolver(), scope.Scope{CompanyID: "c", DepartmentID: "d"}, HeadOptions[cc.QueueFilter]{Whole: true, IDs: ids})()
		x.Close()
		if err != nil || len(head.Items) != n || calls != 1 {
			t.Errorf("%d ids: %d calls, error %v", n, calls, err)
		}
	}
}
