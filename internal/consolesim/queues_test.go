package consolesim

import (
	"fmt"
	"net/http"
	"testing"
)

func TestCreateQueue(t *testing.T) {
	c := start(t, Options{})
	body := fmt.Sprintf(`{"Name":"New group","description":"d","tags":["a"],"companyId":%q,"departmentId":%q,"createBy":"x","createByName":"y"}`, c.company, c.dept)
	const chosen, zero = "abcdef01-2222-4333-8444-555555555555", "00000000-0000-0000-0000-000000000000"
	for name, tc := range map[string]struct{ path, id string }{
		"at the document's path":           {"/openapi/queues/ABCDEF01-2222-4333-8444-555555555555", chosen},
		"at the document's path with zero": {"/openapi/queues/" + zero, ""},
		"at the collection":                {"/openapi/queues", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := c.in(t)
			o := c.call(http.MethodPost, tc.path, body).want(http.StatusOK).object()
			id := o.str("id")
			if tc.id != "" && id != tc.id || id == zero {
				t.Errorf("id %s, want %s", id, tc.id)
			}
			if got := c.get("/openapi/queues/" + id).object(); got.str("name") != "New group" || got.str("createdByName") != "Demo Owner" || got.int("robotCount") != 0 {
				t.Errorf("queue %v", got)
			}
			if c.Data().QueueIDs(c.dept)[0] != id {
				t.Error("the new queue is not the newest of the list")
			}
		})
	}
	c.call(http.MethodPost, "/openapi/queues/"+chosen, body).problem(http.StatusConflict, chosen)
	c.call(http.MethodPost, "/openapi/queues/new", body).problem(http.StatusBadRequest, "new")
	c.call(http.MethodPost, "/openapi/queues", `{}`).problem(http.StatusBadRequest, "Name")
	c.call(http.MethodPost, "/openapi/queues", `{"name":" "}`).problem(http.StatusBadRequest, "Name")
	c.call(http.MethodPost, "/openapi/queues", `{"name":1}`).problem(http.StatusBadRequest, "JSON")
	c.call(http.MethodPost, "/openapi/queues", `{"name":"n","departmentId":"x"}`).problem(http.StatusBadRequest, "GUID")
	c.call(http.MethodPost, "/openapi/queues", `{"name":"n","departmentId":"`+chosen+`"}`).problem(http.StatusBadRequest, "headers")
}

func TestPatchQueue(t *testing.T) {
	c := start(t, Options{})
	id := c.Data().QueueIDs(c.dept)[0]
	before := c.get("/openapi/queues/" + id).object()
	o := c.call(http.MethodPatch, "/openapi/queues/"+id, `{"description":"only this"}`).want(http.StatusOK).object()
	if o.str("description") != "only this" || o.str("name") != before.str("name") || fmt.Sprint(o["tags"]) != fmt.Sprint(before["tags"]) ||
		o.str("modifiedByName") != "Demo Owner" || o.str("eTag") == before.str("eTag") {
		t.Errorf("queue %v after %v", o, before)
	}
	o = c.call(http.MethodPatch, "/openapi/queues/"+id, `{"description":null,"tags":null,"name":"夜班"}`).want(http.StatusOK).object()
	if o.str("description") != "" || len(o["tags"].([]any)) != 0 || o.str("name") != "夜班" {
		t.Errorf("queue %v after nulls", o)
	}
	c.call(http.MethodPatch, "/openapi/queues/"+id, `{"name":null}`).problem(http.StatusBadRequest, "Name")
	if hit := c.get("/openapi/queues?Name=%E5%A4%9C%E7%8F%AD&SearchString=%E5%A4%9C%E7%8F%AD").object(); hit.int("count") == 0 {
		t.Error("the new name is not found")
	}
}

func TestDeleteQueue(t *testing.T) {
	c := start(t, Options{})
	d := c.Data()
	w, _ := d.Workflow(d.WorkflowIDs(c.dept)[0])
	c.call(http.MethodDelete, "/openapi/queues/"+w.QueueID, "").problem(http.StatusBadRequest, "referenced by workflow")
	id := c.call(http.MethodPost, "/openapi/queues", `{"name":"n"}`).want(http.StatusOK).object().str("id")
	c.call(http.MethodDelete, "/openapi/queues/"+id, `{}`).want(http.StatusNoContent)
	c.call(http.MethodGet, "/openapi/queues/"+id, "").problem(http.StatusNotFound, id)
}

func TestBodiesAreRequired(t *testing.T) {
	c := start(t, Options{})
	const id = "/11111111-2222-4333-8444-555555555555"
	for _, op := range []string{
		"PATCH /openapi/packages" + id, "POST /openapi/preloadedVersionFiles", "PATCH /openapi/preloadedVersionFiles" + id,
		"PATCH /openapi/queues" + id, "POST /openapi/queues" + id, "POST /openapi/queues", "POST /openapi/workflows",
		"PATCH /openapi/workflows" + id, "POST /openapi/workflows" + id + "/execute", "POST /openapi/workflows" + id + "/robots",
		"POST /openapi/workflows/batch/upgrade", "POST /openapi/workflowlayouts" + id + "/execute",
	} {
		t.Run(op, func(t *testing.T) {
			c := c.in(t)
			var method, path string
			if _, err := fmt.Sscan(op, &method, &path); err != nil {
				t.Fatal(err)
			}
			c.call(method, path, "").problem(http.StatusUnsupportedMediaType, "JSON body")
			a, err := c.send(method, c.APIURL()+path, []byte(`{}`), map[string]string{"Content-Type": "text/plain"})
			if err != nil {
				t.Fatal(err)
			}
			a.problem(http.StatusUnsupportedMediaType, "JSON body")
			if a := c.call(method, path, `{}`); a.status == http.StatusUnsupportedMediaType {
				t.Errorf("{} answered with %d", a.status)
			}
		})
	}
}
