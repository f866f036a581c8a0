package cachedconsole_test

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// TestEveryChangeInvalidates checks which reads each change invalidates. The console's document does not specify this.
func TestEveryChangeInvalidates(t *testing.T) {
	f := newFixture(t, nil)
	ctx, sc, c := f.owner(), f.scope, f.console
	data := f.sim.Data()
	d := data.MainDepartmentID()
	workflow, queue, robot := data.WorkflowIDs(d)[0], data.QueueIDs(d)[0], data.RobotIDs(d)[0]
	const missing = "00000000-0000-4000-8000-000000000001"
	reads := f.reads(ctx)
	pkg := must[any](t)(reads[cc.OpPackages]()).(*cc.Page[cc.Package]).List[0]
	layout := must[any](t)(reads[cc.OpWorkflowLayouts]()).(*cc.Page[cc.WorkflowLayout]).List[0]

	companies := must[[]*cc.Company](t)(c.Companies(ctx, scope.Scope{}, ""))
	other := companies[len(companies)-1].Scope()
	if other.CompanyID == sc.CompanyID {
		t.Fatal("the user has one company only")
	}
	other.DepartmentID = must[*cc.DepartmentTree](t)(c.DepartmentTree(ctx, other)).RootDepartment.ID

	var (
		packages  = []string{cc.OpPackages, cc.OpPackage}
		queues    = []string{cc.OpQueues, cc.OpQueue}
		robots    = []string{cc.OpRobots, cc.OpRobot, cc.OpWorkflowRobots}
		workflows = []string{cc.OpWorkflows, cc.OpWorkflow, cc.OpWorkflowRobots}
		layouts   = []string{cc.OpWorkflowLayouts, cc.OpWorkflowLayout}
	)
	for name, tt := range map[string]struct {
		change func() error
		anew   [][]string
	}{
		"update a package": {func() error {
			_, err := c.UpdatePackage(ctx, sc, pkg.ID, cc.PackageUpdate{})
			return ignore(err, fault.Conflict)
		}, [][]string{packages, workflows, layouts}},
		"delete a package": {func() error {
			return ignore(c.DeletePackage(ctx, sc, missing), fault.NotFound)
		}, [][]string{packages, workflows, layouts}},
		"upload a package": {func() error {
			_, err := c.UploadPackage(ctx, sc, strings.NewReader("a file"), 6)
			return err
		}, [][]string{packages, workflows, layouts}},
		"prepare an upload": {func() error {
			_, err := c.CreatePackageUpload(ctx, sc)
			return err
		}, nil},
		"complete an upload": {func() error {
			_, err := c.CompletePackageUpload(ctx, sc, missing)
			return ignore(err, fault.NotFound)
		}, [][]string{packages, workflows, layouts}},
		"update a queue": {func() error {
			_, err := c.UpdateQueue(ctx, sc, queue, cc.QueueUpdate{})
			return err
		}, [][]string{queues, robots, workflows, layouts}},
		"create a queue": {func() error {
			_, err := c.CreateQueue(ctx, sc, cc.QueueCreate{Name: "new"})
			return err
		}, [][]string{queues, robots, workflows, layouts}},
		"delete a queue": {func() error {
			return ignore(c.DeleteQueue(ctx, sc, missing), fault.NotFound)
		}, [][]string{queues, robots, workflows, layouts}},
		"create a workflow": {func() error {
			_, err := c.CreateWorkflow(ctx, sc, cc.WorkflowCreate{Name: "new", PackageID: &pkg.ID})
			return err
		}, [][]string{workflows, layouts}},
		"update a workflow": {func() error {
			_, err := c.UpdateWorkflow(ctx, sc, workflow, cc.WorkflowUpdate{})
			return err
		}, [][]string{workflows, layouts}},
		"execute a workflow": {func() error {
			_, err := c.ExecuteWorkflow(ctx, sc, workflow, cc.WorkflowExecution{})
			return err
		}, [][]string{workflows, layouts, robots, queues}},
		"add a robot": {func() error {
			_, err := c.AddWorkflowRobots(ctx, sc, workflow, []string{robot})
			return err
		}, [][]string{workflows, robots, queues}},
		"remove a robot": {func() error {
			return ignore(c.RemoveWorkflowRobot(ctx, sc, workflow, robot), fault.NotFound)
		}, [][]string{workflows, robots, queues}},
		"upgrade workflows": {func() error {
			_, err := c.UpgradeWorkflows(ctx, sc, []string{workflow})
			return err
		}, [][]string{workflows, layouts}},
		"execute a layout": {func() error {
			_, err := c.ExecuteWorkflowLayout(ctx, sc, layout.ID)
			return err
		}, [][]string{workflows, layouts, robots, queues}},
		"delete a workflow": {func() error {
			return ignore(c.DeleteWorkflow(ctx, sc, missing), fault.NotFound)
		}, [][]string{workflows, layouts}},
		"a change that is refused": {func() error {
			return ignore(c.DeleteWorkflow(f.as("nobody"), sc, workflow), fault.Unauthenticated)
		}, nil},
		"a change in another company": {func() error {
			return ignore(c.DeleteWorkflow(ctx, other, missing), fault.NotFound)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			for operation, read := range reads {
				if _, err := read(); err != nil {
					t.Fatalf("%s: %v", operation, err)
				}
			}
			if err := tt.change(); err != nil {
				t.Fatal(err)
			}
			anew := make(map[string]bool)
			for _, operations := range tt.anew {
				for _, operation := range operations {
					anew[operation] = true
				}
			}
			// The first pass reads single entities before lists, since a loaded list also brings its entities.
			for _, first := range []bool{true, false} {
				for operation, read := range reads {
					one := operation == cc.OpPackage || operation == cc.OpQueue || operation == cc.OpRobot || operation == cc.OpWorkflow || operation == cc.OpWorkflowLayout
					if one != first {
						continue
					}
					if asked := f.calls(func() { _, _ = read() }) > 0; asked != anew[operation] {
						t.Errorf("%s: asked again: %v", operation, asked)
					}
				}
			}
		})
	}
}

// ignore returns err, or nil if err has the code that the change is expected to fail with.
func ignore(err error, code fault.Code) error {
	if fault.CodeOf(err) == code {
		return nil
	}
	return errors.Join(err)
}

// TestFailedChangeInvalidates checks that a failed change invalidates what it may have touched.
func TestFailedChangeInvalidates(t *testing.T) {
	f := newFixture(t, nil)
	ctx, sc, c := f.owner(), f.scope, f.console
	id := f.sim.Data().QueueIDs(sc.DepartmentID)[0]
	for i, tt := range []struct {
		code  fault.Code
		fault consolesim.Fault
		anew  bool
	}{
		{fault.UpstreamUnavailable, consolesim.Fault{Status: http.StatusInternalServerError, After: true}, true},
		{fault.UpstreamUnavailable, consolesim.Fault{Drop: true, After: true}, true},
		{fault.UpstreamTimeout, consolesim.Fault{Status: http.StatusGatewayTimeout, After: true}, true},
		{fault.UpstreamInvalidResponse, consolesim.Fault{Body: []byte("<html>"), After: true}, true},
		{fault.UpstreamUnavailable, consolesim.Fault{Truncate: true}, true},
		{fault.RateLimited, consolesim.Fault{Status: http.StatusTooManyRequests}, false},
		{fault.Conflict, consolesim.Fault{Status: http.StatusConflict}, true},
		{fault.NotFound, consolesim.Fault{Status: http.StatusNotFound}, true},
		{fault.BadUserInput, consolesim.Fault{Status: http.StatusBadRequest}, false},
		{fault.Forbidden, consolesim.Fault{Status: http.StatusForbidden}, false},
	} {
		name := "name " + strconv.Itoa(i)
		must[*cc.Queue](t)(c.Queue(ctx, sc, id))
		tt.fault.Times = 1
		cancel := f.sim.Fail(func(r *http.Request) bool { return r.Method != http.MethodGet }, tt.fault)
		_, err := c.UpdateQueue(ctx, sc, id, cc.QueueUpdate{Name: graphql.OmittableOf(&name)})
		cancel()
		if code := fault.CodeOf(err); code != tt.code {
			t.Errorf("%+v: failed with %s: %v", tt.fault, code, err)
		}
		var got *cc.Queue
		if anew := f.calls(func() { got = must[*cc.Queue](t)(c.Queue(ctx, sc, id)) }) > 0; anew != tt.anew {
			t.Errorf("%s: asked again: %v", tt.code, anew)
		}
		if tt.fault.After && got.Name != name {
			t.Errorf("%s: the queue is still %q", tt.code, got.Name)
		}
	}
}

// TestOutageServesStaleEntries verifies which failed changes leave answers for a console that fails.
func TestOutageServesStaleEntries(t *testing.T) {
	for name, tt := range map[string]struct {
		fault consolesim.Fault
		stale bool
	}{
		"unknown":          {consolesim.Fault{Drop: true, After: true}, true},
		"a proxy's answer": {consolesim.Fault{Status: http.StatusBadGateway, Body: []byte("<html>")}, true},
		"a conflict":       {consolesim.Fault{Status: http.StatusConflict}, true},
		"a missing entity": {consolesim.Fault{Status: http.StatusNotFound}, false},
		"done":             {consolesim.Fault{Delay: time.Millisecond}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, nil) // a failed read of another case is repeated in the background
			ctx, sc, c := f.owner(), f.scope, f.console
			id := f.sim.Data().QueueIDs(sc.DepartmentID)[0]
			queue := must[*cc.Queue](t)(c.Queue(ctx, sc, id))
			cancel := f.sim.Fail(func(r *http.Request) bool { return r.Method != http.MethodGet }, tt.fault)
			changed := "name " + name
			_, _ = c.UpdateQueue(ctx, sc, id, cc.QueueUpdate{Name: graphql.OmittableOf(&changed)}) // its outcome is tt.fault
			cancel()
			defer f.sim.Fail(func(*http.Request) bool { return true }, consolesim.Fault{Status: http.StatusServiceUnavailable})()
			got, err := c.Queue(ctx, sc, id)
			if stale := err == nil && got.Name == queue.Name; stale != tt.stale {
				t.Errorf("got %v, %v; want an old answer: %t", got, err, tt.stale)
			}
		})
	}
	t.Run("not sent", func(t *testing.T) {
		f := newFixture(t, nil)
		ctx, sc, c := f.owner(), f.scope, f.console
		id := f.sim.Data().QueueIDs(sc.DepartmentID)[0]
		queue := must[*cc.Queue](t)(c.Queue(ctx, sc, id))
		if err := f.sim.Close(); err != nil {
			t.Fatal(err)
		}
		c.CloseIdleConnections()
		changed := "another name"
		if _, err := c.UpdateQueue(ctx, sc, id, cc.QueueUpdate{Name: graphql.OmittableOf(&changed)}); fault.OutcomeOf(err) != fault.NotSent {
			t.Fatalf("the change failed with %v", err)
		}
		if got := must[*cc.Queue](t)(c.Queue(ctx, sc, id)); got != queue {
			t.Errorf("another answer: %v", got)
		}
	})
}

// TestFilteredListDependsOnEveryKind checks that a change of a workflow invalidates filtered lists of robots and queues.
func TestFilteredListDependsOnEveryKind(t *testing.T) {
	f := newFixture(t, nil)
	ctx, sc, c := f.owner(), f.scope, f.console
	workflow := must[*cc.Workflow](t)(c.Workflow(ctx, sc, f.sim.Data().WorkflowIDs(sc.DepartmentID)[0]))
	pkg := cc.OptionalID(*workflow.PackageID)
	for name, tt := range map[string]struct {
		read func() error
		anew bool
	}{
		"robots that run a package": {func() error {
			_, err := c.Robots(ctx, sc, cc.List[cc.RobotFilter]{Filter: cc.RobotFilter{PackageID: pkg}, PageSize: 50})
			return err
		}, true},
		"queues that run a package": {func() error {
			_, err := c.Queues(ctx, sc, cc.List[cc.QueueFilter]{Filter: cc.QueueFilter{PackageID: pkg}, PageSize: 50})
			return err
		}, true},
		"packages with a name": {func() error {
			_, err := c.Packages(ctx, sc, cc.List[cc.PackageFilter]{Filter: cc.PackageFilter{Name: "a"}, PageSize: 50})
			return err
		}, true},
		"all packages with their versions": {func() error {
			_, err := c.Packages(ctx, sc, cc.List[cc.PackageFilter]{Filter: cc.PackageFilter{IncludeVersions: true}, PageSize: 50})
			return err
		}, false},
		"all robots": {func() error {
			_, err := c.Robots(ctx, sc, cc.List[cc.RobotFilter]{PageSize: 50})
			return err
		}, false},
	} {
		if err := tt.read(); err != nil {
			t.Fatal(name, err)
		}
		must[*cc.Workflow](t)(c.UpdateWorkflow(ctx, sc, workflow.ID, cc.WorkflowUpdate{}))
		var err error
		if anew := f.calls(func() { err = tt.read() }) > 0; anew != tt.anew || err != nil {
			t.Errorf("%s: asked again: %v, %v", name, anew, err)
		}
	}
}
