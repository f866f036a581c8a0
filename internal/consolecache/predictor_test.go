package consolecache_test

import (
	"context"
	"testing"
	"time"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/trail"
)

// TestHabits: what an operation read the last time is asked for with its first read.
func TestHabits(t *testing.T) {
	f := newFixture(t, nil)
	ctx, sc, c := f.owner(), f.scope, f.console
	robot := f.sim.Data().RobotIDs(sc.DepartmentID)[0]
	workflow := f.sim.Data().WorkflowIDs(sc.DepartmentID)[0]
	like := func(name string) (context.Context, *trail.State) {
		way := trail.New(trail.ReadOptions{OperationKey: name, Batches: true})
		return trail.NewContext(ctx, way), way
	}
	workflows := func(ctx context.Context) {
		must[*cc.Page[cc.Workflow]](t)(c.Workflows(ctx, sc, cc.List[cc.WorkflowFilter]{PageSize: 50}))
	}
	robots := func(ctx context.Context) {
		must[*cc.Page[cc.Robot]](t)(c.Robots(ctx, sc, cc.List[cc.RobotFilter]{PageSize: 50}))
	}
	change := func() {
		t.Helper()
		if _, err := c.ExecuteWorkflow(ctx, sc, workflow, cc.WorkflowExecution{}); err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string, want int, reads ...func(context.Context)) *trail.State {
		t.Helper()
		ctx, way := like(name)
		f.sim.ResetCounts()
		for _, read := range reads {
			read(ctx)
		}
		n := f.counted()
		for deadline := time.Now().Add(time.Minute); n < want && time.Now().Before(deadline); n = f.counted() {
			time.Sleep(time.Millisecond) // of what was begun ahead, nobody waits for the end
		}
		if n != want {
			t.Errorf("%s: %d calls, want %d", name, n, want)
		}
		return way
	}
	sources := func(way *trail.State) (loaded, other int) {
		for _, r := range way.Reads() {
			if r.Source == responsecache.Loaded {
				loaded++
			} else {
				other++
			}
		}
		return loaded, other
	}

	run("both", 2, workflows, robots)
	change()
	way := run("both", 2, workflows, robots)
	if loaded, other := sources(way); loaded != 2 || other != 1 {
		t.Errorf("with a habit: %+v", way.Reads())
	}
	run("both", 0, workflows, robots)

	// The first run that does without the second read finds out, those after it know.
	change()
	run("both", 2, workflows)
	change()
	run("both", 1, workflows)
	// Another operation, another principal and one without a name have no such habit.
	run("both", 1, robots)
	change()
	run("another", 1, workflows)
	run("", 1, robots)

	// What was begun ahead is of use, too, where its entities are taken from memory.
	run("entities", 0, workflows, robots)
	for range 3 {
		change()
		run("entities", 2, workflows, func(ctx context.Context) {
			for deadline := time.Now().Add(time.Minute); len(c.KeptRobots(ctx, sc, []string{robot}, true)) == 0; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("what was begun ahead never comes")
				}
			}
		})
	}

	// Another list of the same kind than the one that was foreseen is learnt anew.
	others := func(ctx context.Context) {
		must[*cc.Page[cc.Robot]](t)(c.Robots(ctx, sc, cc.List[cc.RobotFilter]{PageSize: 40}))
	}
	for i, want := range []int{2, 2, 3, 2, 2} {
		change()
		read := robots
		if i >= 2 {
			read = others
		}
		run("changing", want, workflows, read)
	}
	// What memory lacks of a kind is no habit.
	change()
	run("lacking", 2, workflows, robots)
	run("lacking", 1, workflows, func(ctx context.Context) { c.KeptRobots(ctx, sc, []string{robot}, true) }, others)
	change()
	run("lacking", 2, workflows, robots)

	// What is to be forgotten is.
	run("both", 0, workflows, robots)
	run("both", 0, workflows, robots)
	c.Forget(ctx)
	run("both", 1, workflows)
}
