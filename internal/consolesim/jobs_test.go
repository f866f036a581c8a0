package consolesim

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

func TestExecuteWorkflow(t *testing.T) {
	clk := newClock()
	c := start(t, Options{Now: clk.now})
	d := c.Data()
	id := d.WorkflowIDs(c.dept)[0]
	before, _ := d.Workflow(id)
	jobs := c.call(http.MethodPost, "/openapi/workflows/"+id+"/execute", fmt.Sprintf(`{"source":"External","priority":7,"maxRetryCount":2,
		"startupType":"taskqueue","startupId":%q,"startupName":"q","jobSubjectId":%q,"jobSubjectName":"s","jobSubjectType":"order",
		"videoRecordMode":4,"arguments":[{"name":"a","direction":"In","defaultValue":"1"}]}`, stranger, stranger)).want(http.StatusOK).array()
	if len(jobs) != 1 {
		t.Fatalf("%d jobs, want 1", len(jobs))
	}
	for k, want := range map[string]any{
		"workflowId": id, "name": before.Name, "packageId": before.PackageID, "packageVersionId": before.PackageVersionID,
		"containingQueueId": before.QueueID, "priority": 7.0, "maxRetryCount": 2.0, "state": "Queued", "displayState": "Queued",
		"videoRecordMode": "AlwaysReport", "jobStartupType": "TaskQueue", "jobStartupId": stranger, "jobStartupName": "q",
		"jobSubjectId": stranger, "jobSubjectName": "s", "jobSubjectType": "order", "startedAt": nil, "finishedAt": nil,
		"cronTriggerId": nil, "lastRunInstaceId": nil, "departmentId": c.dept, "companyId": c.company, "seqNum": 1.0,
	} {
		if got, ok := jobs[0][k]; got != want || !ok {
			t.Errorf("%s is %v (present: %v), want %v", k, got, ok, want)
		}
	}
	o := c.get("/openapi/workflows/" + id).object()
	if o.int("triggeredCount") != int(before.TriggeredCount)+1 || o.str("lastTriggeredAt") != clk.now().Format(wireTime) {
		t.Errorf("workflow after its execution: %v %v", o["triggeredCount"], o["lastTriggeredAt"])
	}
	for _, member := range []string{`"priority":5001`, `"maxRetryCount":11`, `"videoRecordMode":9`, `"startupType":"x"`, `"startupId":"x"`, `"jobSubjectId":"x"`, `"arguments":[{}]`} {
		c.call(http.MethodPost, "/openapi/workflows/"+id+"/execute", "{"+member+"}").problem(http.StatusBadRequest, "")
	}
	if got := len(d.Jobs()); got != 1 {
		t.Errorf("%d jobs after refused executions, want 1", got)
	}
}

func TestJobsAdvance(t *testing.T) {
	clk := newClock()
	c := start(t, Options{Now: clk.now})
	d := c.Data()
	path := "/openapi/workflows/" + d.WorkflowIDs(c.dept)[0] + "/execute"
	for range 40 {
		c.call(http.MethodPost, path, `{}`).want(http.StatusOK)
	}
	states := func() map[string]int {
		m := map[string]int{}
		for _, j := range d.Jobs() {
			m[j.State]++
			started, finished := !j.StartedAt.IsZero(), !j.FinishedAt.IsZero()
			if started != (j.State != "Queued") || finished != (j.State == "Succeeded" || j.State == "Failed") ||
				(j.RobotName == "") != (j.State == "Queued") || (j.Message != "") != (j.State == "Failed") {
				t.Errorf("job %+v", j)
			}
		}
		return m
	}
	if m := states(); m["Queued"] != 40 {
		t.Errorf("at once: %v", m)
	}
	clk.advance(6500 * time.Millisecond)
	if m := states(); m["Queued"] != 0 || m["Running"] < 30 {
		t.Errorf("after 6.5 s: %v", m)
	}
	clk.advance(time.Minute)
	if m := states(); m["Succeeded"] < 25 || m["Failed"] < 1 || m["Succeeded"]+m["Failed"] != 40 {
		t.Errorf("after a minute: %v", m)
	}
}

func TestExecuteWithoutQueue(t *testing.T) {
	c := start(t, Options{})
	d := c.Data()
	w, _ := d.Workflow(d.WorkflowIDs(c.dept)[0])
	path := "/openapi/workflows/" + w.ID
	c.call(http.MethodPatch, path, `{"associatedQueueId":null}`).want(http.StatusOK)
	if jobs := c.call(http.MethodPost, path+"/execute", `{}`).want(http.StatusOK).array(); len(jobs) != len(w.RobotIDs) || jobs[0].str("id") == jobs[1].str("id") ||
		jobs[0].str("jobGroupId") != jobs[1].str("jobGroupId") {
		t.Errorf("jobs %v, want one for each of %d robots", jobs, len(w.RobotIDs))
	}
	for _, r := range w.RobotIDs {
		c.call(http.MethodDelete, path+"/robots/"+r, "").want(http.StatusNoContent)
	}
	c.call(http.MethodPost, path+"/execute", `{}`).problem(http.StatusBadRequest, "neither a queue nor robots")
}

func TestLayouts(t *testing.T) {
	c := start(t, Options{Dialect: Dialect{BareSingle: true}})
	d := c.Data()
	for _, o := range c.get("/openapi/workflowlayouts").object().list("list") {
		nodes := o.list("nodes")
		if len(nodes) < 2 {
			t.Fatalf("layout %v", o)
		}
		for i, n := range nodes {
			if w, ok := d.Workflow(n.str("workflowId")); !ok || w.DepartmentID != c.dept || n.int("index") != i || n.str("name") != w.Name {
				t.Errorf("node %v", n)
			}
		}
	}
	l, _ := d.Layout(d.LayoutIDs(c.dept)[0])
	first, _ := d.Workflow(l.Nodes[0].WorkflowID)
	path := "/openapi/workflowlayouts/" + l.ID
	g := c.call(http.MethodPost, path+"/execute", `{}`).want(http.StatusOK).object()
	jobs := g.list("jobs")
	if g.str("ownerId") != l.ID || g.str("name") != l.Name || g.str("startedAt") == "" || g["finishedAt"] != nil || g.str("jobStartupType") != "Manually" || len(jobs) != len(l.Nodes) {
		t.Errorf("job group %v", g)
	}
	for i, j := range jobs {
		if j.str("workflowId") != l.Nodes[i].WorkflowID || j.str("jobGroupId") != g.str("id") || j.str("step") != fmt.Sprint(i+1) || j.str("state") != "Queued" {
			t.Errorf("job %v", j)
		}
	}
	if o := c.get(path).object(); o.int("triggeredCount") != int(l.TriggeredCount)+1 || o.str("lastTriggeredAt") == "" {
		t.Errorf("layout after its execution %v", o)
	}
	if w, _ := d.Workflow(first.ID); w.TriggeredCount != first.TriggeredCount+1 {
		t.Errorf("workflow of the first node was triggered %d times, want %d", w.TriggeredCount, first.TriggeredCount+1)
	}
	c.call(http.MethodPost, "/openapi/workflowlayouts/"+stranger+"/execute", `{}`).problem(http.StatusNotFound, stranger)
}
