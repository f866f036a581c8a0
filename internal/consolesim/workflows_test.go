package consolesim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

const stranger = "11111111-2222-4333-8444-555555555555"

func TestCreateWorkflow(t *testing.T) {
	c := start(t, Options{})
	d := c.Data()
	p, _ := d.Package(d.PackageIDs(c.dept)[0])
	queue := d.QueueIDs(c.dept)[0]
	o := c.call(http.MethodPost, "/openapi/workflows", fmt.Sprintf(`{
		"Name": "Nightly", "description": "d", "tags": ["t"], "videoRecordMode": 3, "triggerPolicy": "anytime",
		"arguments": [{"name":"a","type":"System.String","direction":1,"defaultValue":"x","assetContent":{"name":"as","description":"","isRequiredEncryption":true}}],
		"jobStateNotification": {"switchOn":true,"justNoticeAgainstLastRuninstance":true,"conditions":["Finished",1001],"recipients":["a@example.com"]},
		"packageName": "ignored", "packageId": %q, "packageVersionId": %q, "packageVersion": "ignored",
		"associatedQueueId": %q, "priority": 5000, "maxRetryCount": 10}`, p.ID, p.Versions[0].ID, queue)).want(http.StatusOK).object()
	for k, want := range map[string]any{
		"name": "Nightly", "videoRecordMode": "AlwaysRecord", "triggerPolicy": "AnyTime", "packageName": p.Name, "packageId": p.ID,
		"packageVersionId": p.Versions[0].ID, "packageVersion": p.Versions[0].Version, "associatedQueueId": queue,
		"priority": 5000.0, "maxRetryCount": 10.0, "triggeredCount": 0.0, "lastTriggeredAt": nil, "createdByName": "Demo Owner",
	} {
		if o[k] != want {
			t.Errorf("%s is %v, want %v", k, o[k], want)
		}
	}
	if a := o.list("arguments"); len(a) != 1 || a[0].str("direction") != "Out" || a[0]["assetContent"] == nil {
		t.Errorf("arguments %v", a)
	}
	n := object(o["jobStateNotification"].(map[string]any))
	if fmt.Sprint(n["conditions"]) != "[Finished Running]" || n["switchOn"] != true {
		t.Errorf("notification %v", n)
	}
	if d.WorkflowIDs(c.dept)[0] != o.str("id") {
		t.Error("the new workflow is not the newest of the list")
	}
	least := c.call(http.MethodPost, "/openapi/workflows", fmt.Sprintf(`{"name":"Least","packageId":%q}`, p.ID)).want(http.StatusOK).object()
	if least.str("packageVersionId") != p.Latest().ID || least.int("priority") != 2000 || least["associatedQueueId"] != nil {
		t.Errorf("workflow with defaults %v", least)
	}
}

func TestWorkflowBounds(t *testing.T) {
	c := start(t, Options{})
	d := c.Data()
	id := d.WorkflowIDs(c.dept)[0]
	w, _ := d.Workflow(id)
	foreign, _ := d.Package(d.PackageIDs(c.dept)[0])
	if foreign.ID == w.PackageID {
		foreign, _ = d.Package(d.PackageIDs(c.dept)[1])
	}
	for name, tc := range map[string]struct{ member, detail string }{
		"priority too low":   {`"priority":-1`, "Priority"},
		"priority too high":  {`"priority":5001`, "Priority"},
		"retries too low":    {`"maxRetryCount":-1`, "MaxRetryCount"},
		"retries too high":   {`"maxRetryCount":11`, "MaxRetryCount"},
		"unknown mode":       {`"videoRecordMode":"Sometimes"`, "VideoRecordMode"},
		"mode out of range":  {`"videoRecordMode":5`, "VideoRecordMode"},
		"unknown policy":     {`"triggerPolicy":"Never"`, "TriggerPolicy"},
		"unknown direction":  {`"arguments":[{"name":"a","direction":"Sideways"}]`, "Direction"},
		"nameless argument":  {`"arguments":[{"type":"x"}]`, "Name"},
		"version is no GUID": {`"packageVersionId":"1.0"`, "PackageVersionId"},
		"version of another": {`"packageVersionId":"` + foreign.Versions[0].ID + `"`, "PackageVersionId"},
		"queue is no GUID":   {`"associatedQueueId":"q"`, "AssociatedQueueId"},
		"queue is unknown":   {`"associatedQueueId":"` + stranger + `"`, "AssociatedQueueId"},
		"empty name":         {`"name":""`, "Name"},
		"wrong type":         {`"priority":"high"`, "JSON"},
		"object for an enum": {`"triggerPolicy":{}`, "JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			c := c.in(t)
			c.call(http.MethodPatch, "/openapi/workflows/"+id, "{"+tc.member+"}").problem(http.StatusBadRequest, tc.detail)
			if strings.HasPrefix(tc.member, `"name"`) {
				return
			}
			c.call(http.MethodPost, "/openapi/workflows", fmt.Sprintf(`{"name":"n","packageId":%q,%s}`, w.PackageID, tc.member)).
				problem(http.StatusBadRequest, tc.detail)
		})
	}
	after, _ := d.Workflow(id)
	if after.ETag != w.ETag {
		t.Error("a refused update changed the workflow")
	}
	c.call(http.MethodPost, "/openapi/workflows", `{"name":"n"}`).problem(http.StatusBadRequest, "PackageId")
	c.call(http.MethodPost, "/openapi/workflows", `{"name":"n","packageId":"x"}`).problem(http.StatusBadRequest, "PackageId")
	c.call(http.MethodPost, "/openapi/workflows", `{"packageId":"`+w.PackageID+`"}`).problem(http.StatusBadRequest, "Name")
	c.call(http.MethodPatch, "/openapi/workflows/"+id, `{"priority":`).problem(http.StatusBadRequest, "JSON")
}

func TestPatchWorkflow(t *testing.T) {
	c := start(t, Options{})
	d := c.Data()
	id := d.WorkflowIDs(c.dept)[0]
	before, _ := d.Workflow(id)
	o := c.call(http.MethodPatch, "/openapi/workflows/"+id, `{"priority":0,"properties":{"a":"b"},"associatedQueueId":null,"jobStateNotification":null,"arguments":[]}`).
		want(http.StatusOK).object()
	if o.int("priority") != 0 || o["associatedQueueId"] != nil || o["jobStateNotification"] != nil || len(o.list("arguments")) != 0 ||
		fmt.Sprint(o["properties"]) != "map[a:b]" || o.str("name") != before.Name || o.str("packageVersionId") != before.PackageVersionID ||
		o.str("eTag") == before.ETag || o.int("maxRetryCount") != int(before.MaxRetryCount) {
		t.Errorf("workflow %v, before %+v", o, before)
	}
	if again := c.get("/openapi/workflows/" + id).object(); again.str("eTag") != o.str("eTag") || again.int("priority") != 0 {
		t.Errorf("workflow after its update %v", again)
	}
	if c.TouchWorkflow(stranger) || !c.TouchWorkflow(id) {
		t.Error("TouchWorkflow")
	}
	if touched := c.get("/openapi/workflows/" + id).object(); touched.int("triggeredCount") != int(before.TriggeredCount)+1 {
		t.Errorf("touched workflow %v", touched)
	}
}

func TestDeleteWorkflow(t *testing.T) {
	c := start(t, Options{})
	d := c.Data()
	l, _ := d.Layout(d.LayoutIDs(c.dept)[0])
	c.call(http.MethodDelete, "/openapi/workflows/"+l.Nodes[0].WorkflowID, "").problem(http.StatusBadRequest, "referenced by layout")
	p := d.PackageIDs(c.dept)[0]
	id := c.call(http.MethodPost, "/openapi/workflows", `{"name":"n","packageId":"`+p+`"}`).want(http.StatusOK).object().str("id")
	c.call(http.MethodDelete, "/openapi/workflows/"+id, "").want(http.StatusNoContent)
	c.call(http.MethodGet, "/openapi/workflows/"+id, "").problem(http.StatusNotFound, id)
	if slices.Contains(d.WorkflowIDs(c.dept), id) {
		t.Error("the deleted workflow is still listed")
	}
}

func TestWorkflowRobots(t *testing.T) {
	c := start(t, Options{})
	d := c.Data()
	id := d.WorkflowIDs(c.dept)[0]
	path := "/openapi/workflows/" + id + "/robots"
	w, _ := d.Workflow(id)
	list := func() []string {
		o := c.get(path).object()
		ids := idsOf(o.list("list"))
		if o.int("count") != len(ids) {
			t.Errorf("count %d of %d robots", o.int("count"), len(ids))
		}
		return ids
	}
	if got := list(); !slices.Equal(got, w.RobotIDs) || len(got) < 2 {
		t.Fatalf("robots %v, want %v", got, w.RobotIDs)
	}
	var spare string
	for _, r := range d.RobotIDs(c.dept) {
		if !slices.Contains(w.RobotIDs, r) {
			spare = r
		}
	}
	results := c.call(http.MethodPost, path, fmt.Sprintf(`{"robotIds":[%q,%q,%q]}`, strings.ToUpper(spare), w.RobotIDs[0], stranger)).want(http.StatusOK).array()
	if len(results) != 3 || results[0]["errorMessage"] != nil || results[0].str("robotId") != spare || results[0].str("workflowId") != id ||
		results[1].str("errorMessage") == "" || results[2].str("errorMessage") == "" {
		t.Errorf("results %v", results)
	}
	if got := list(); !slices.Equal(got, append(slices.Clone(w.RobotIDs), spare)) {
		t.Errorf("robots %v after adding %s", got, spare)
	}
	if o := c.get("/openapi/workflows/" + id).object(); len(o["associatedRobotIds"].([]any)) != len(w.RobotIDs)+1 {
		t.Errorf("associatedRobotIds %v", o["associatedRobotIds"])
	}
	c.call(http.MethodDelete, path+"/"+spare, "").want(http.StatusNoContent)
	if got := list(); !slices.Equal(got, w.RobotIDs) {
		t.Errorf("robots %v after removing %s", got, spare)
	}
	c.call(http.MethodDelete, path+"/"+spare, "").problem(http.StatusNotFound, spare)
	c.call(http.MethodDelete, path+"/x", "").problem(http.StatusBadRequest, "x")
	c.call(http.MethodPost, path, `{}`).problem(http.StatusBadRequest, "RobotIds")
	c.call(http.MethodPost, path, `{"robotIds":["x"]}`).problem(http.StatusBadRequest, "RobotIds")
	c.call(http.MethodPost, "/openapi/workflows/"+stranger+"/robots", `{"robotIds":["`+spare+`"]}`).problem(http.StatusNotFound, stranger)
	c.call(http.MethodGet, "/openapi/workflows/"+stranger+"/robots", "").problem(http.StatusNotFound, stranger)
}

func TestUpgrade(t *testing.T) {
	c := start(t, Options{})
	d := c.Data()
	var old, latest, refused string
	for _, id := range d.WorkflowIDs(c.dept) {
		w, _ := d.Workflow(id)
		p, _ := d.Package(w.PackageID)
		switch {
		case p.Latest().ID == w.PackageVersionID:
			latest = id
		case old == "":
			old = id
		default:
			refused = id
		}
	}
	c.refuseUpgrade(refused, "locked by an auditor")
	o := c.call(http.MethodPost, "/openapi/workflows/batch/upgrade", fmt.Sprintf(`{"workflowIds":[%q,%q,%q,%q]}`, old, latest, refused, stranger)).
		want(http.StatusOK).object()
	if o.int("total") != 4 || o.int("successCount") != 2 || o.int("failureCount") != 1 || o.int("missingCount") != 1 {
		t.Errorf("counts %v", o)
	}
	if f := o.list("failedList"); len(f) != 1 || f[0].str("id") != refused || f[0].str("message") != "locked by an auditor" || f[0].str("name") == "" {
		t.Errorf("failedList %v", f)
	}
	if w := o.list("warningList"); len(w) != 1 || w[0].str("id") != latest {
		t.Errorf("warningList %v", w)
	}
	w, _ := d.Workflow(old)
	if p, _ := d.Package(w.PackageID); w.PackageVersionID != p.Latest().ID || w.PackageVersion != p.Latest().Version {
		t.Errorf("workflow %+v is not at the latest version", w)
	}
	c.call(http.MethodPost, "/openapi/workflows/batch/upgrade", `{}`).problem(http.StatusBadRequest, "WorkflowIds")
	c.call(http.MethodPost, "/openapi/workflows/batch/upgrade", `{"workflowIds":["x"]}`).problem(http.StatusBadRequest, "WorkflowIds")
}
