package questions

import (
	"context"
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/backoff"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

var (
	manyDepartments = flag.Int("departments", 29, "how many departments the console of TestQuestionsUnderLoad has")
	floodSize       = flag.Int("flood", 100, "how many operations the other caller of TestQuestionsUnderLoad has under way")
)

// TestQuestionsUnderLoad asks the ten questions alone, and while another caller sends more operations than may wait.
// None is refused or comes too late.
func TestQuestionsUnderLoad(t *testing.T) {
	t.Parallel()
	for name, console := range map[string]consolesim.Options{"with robots": {}, "without robots": {NoAssociatedRobotIDs: true}} {
		t.Run(name, func(t *testing.T) { // not beside another flood
			console.Irregular, console.Departments, console.Latency = true, *manyDepartments, 5*time.Millisecond
			w := e2e.NewWorld(t, console, func(s *gateway.Settings, _ *consolesim.Server) { s.ConsoleConcurrency = 64 }) // so that calls wait
			var again atomic.Int64
			ask := func(when string) {
				for _, q := range questions()[:10] {
					began := time.Now()
					a := w.Ask(fill(w, q.query, &again), e2e.Request{})
					for _, e := range a.Errors {
						if e.Extensions.Code != string(fault.Forbidden) { // a department of the console answers 403
							t.Errorf("%s, %s: %v", q.title, when, e)
							break
						}
					}
					t.Logf("%s, %s: %v", q.title, when, time.Since(began).Round(time.Millisecond))
				}
			}
			ask("alone")
			ctx, stop := context.WithCancel(t.Context())
			var flood sync.WaitGroup
			var refused, answered atomic.Int64
			other := w.SignIn(w.Sim.Data().Users()[0])
			other["CompanyId"], other["DepartmentId"] = w.Sim.Data().MainCompanyID(), w.Sim.Data().MainDepartmentID()
			for range *floodSize {
				flood.Go(func() {
					for n := 0; ctx.Err() == nil; n++ {
						a, err := w.AskContext(ctx, fmt.Sprintf(`{ workflows(first: 40, filter: {name: "%d"}) { nodes { name robots { name } } } robots(filter: {name: "%[1]d"}) { totalCount } }`, n), e2e.Request{Header: other})
						if err == nil && len(a.Errors) > 0 {
							refused.Add(1)
							backoff.Wait(ctx, 100*time.Millisecond)
						} else if err == nil {
							answered.Add(1)
						}
					}
				})
			}
			e2e.Await(t, "the flood", func() bool { return answered.Load() > 100 })
			ask("beside a flood")
			stop()
			flood.Wait()
			t.Logf("the flood: %d operations answered, %d refused", answered.Load(), refused.Load())
		})
	}
}
