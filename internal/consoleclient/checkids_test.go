package consoleclient

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/fault"
)

// A response that holds an entity without an id is invalid.
func TestEntitiesWithoutID(t *testing.T) {
	t.Parallel()
	calls := map[string]func(*Client) error{
		"Company": func(c *Client) error { _, err := c.Companies(t.Context(), testScope, ""); return err },
		"Package": func(c *Client) error { _, err := c.Packages(t.Context(), testScope, List[PackageFilter]{}); return err },
		"Queue":   func(c *Client) error { _, err := c.Queues(t.Context(), testScope, List[QueueFilter]{}); return err },
		"Robot":   func(c *Client) error { _, err := c.Robots(t.Context(), testScope, List[RobotFilter]{}); return err },
		"Workflow": func(c *Client) error {
			_, err := c.Workflows(t.Context(), testScope, List[WorkflowFilter]{})
			return err
		},
		"Department": func(c *Client) error { _, err := c.DepartmentTree(t.Context(), testScope); return err },
		"PackageVersion": func(c *Client) error {
			_, err := c.Package(t.Context(), testScope, guid)
			return err
		},
		"WorkflowLayout": func(c *Client) error {
			_, err := c.WorkflowLayouts(t.Context(), testScope, List[WorkflowLayoutFilter]{})
			return err
		},
		"WorkflowLayoutNode": func(c *Client) error {
			_, err := c.WorkflowLayout(t.Context(), testScope, guid)
			return err
		},
	}
	answers := map[string]string{
		"Department":         `{"count":2,"rootDepartment":{"id":"` + guid + `","children":[%s]}}`,
		"PackageVersion":     `{"id":"` + guid + `","name":"a","versions":[%s]}`,
		"WorkflowLayoutNode": `{"count":1,"list":[{"id":"` + guid + `","name":"a","nodes":[%s]}]}`,
	}
	for kind, call := range calls {
		for name, element := range map[string]string{"none": `{"name":"a"}`, "empty": `{"id":"","name":"a"}`, "null": `{"Id":null}`} {
			t.Run(kind+", "+name, func(t *testing.T) {
				t.Parallel()
				answer, ok := answers[kind]
				if !ok {
					answer = `{"count":2,"list":[%s]}`
				}
				if err := call(newTestClient(t, serve(t, jsonAnswer(fmt.Sprintf(answer, `{"id":"`+otherGUID+`","name":"a"}`))), nil)); err != nil {
					t.Fatal(err)
				}
				err := call(newTestClient(t, serve(t, jsonAnswer(fmt.Sprintf(answer, `{"id":"`+otherGUID+`"},`+element))), nil))
				var e *Error
				if !errors.As(err, &e) || e.Code != fault.UpstreamInvalidResponse || !strings.Contains(e.Detail, "a "+kind+" without an id") {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}

// Only a get by id can return "not found".
func TestEmptyListForEntity(t *testing.T) {
	t.Parallel()
	client := newTestClient(t, serve(t, jsonAnswer(`{"count":0,"list":[]}`)), nil)
	if _, err := client.Queue(t.Context(), testScope, guid); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("queue: got %v", err)
	}
	if _, err := client.Self(t.Context(), testScope); fault.CodeOf(err) != fault.UpstreamInvalidResponse {
		t.Errorf("self: got %v", err)
	}
	if u, err := client.CreatePackageUpload(t.Context(), testScope); u != nil || err != nil {
		t.Errorf("prepare: got %v, %v, want neither", u, err)
	}
}

// TestNullInPlaceOfAList: a null list is an empty page only if the count allows it.
func TestNullInPlaceOfAList(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		answer      string
		index, size int
		valid       bool
	}{
		{`{"count":3,"list":null}`, 0, 0, false},
		{`{"list":null,"count":"3"}`, 0, 100, false},
		{`{"count":130,"list":null}`, 1, 100, false},
		{`{"count":130,"list":null}`, 2, 100, true},
		{`{"count":21,"list":null}`, 1, 0, false},
		{`{"count":20,"list":null}`, 1, 0, true},
		{`{"count":0,"list":null}`, 0, 20, true},
		{`{"list":null}`, 0, 20, true},
		{`{"count":3,"list":[]}`, 0, 20, true},
	} {
		client := newTestClient(t, serve(t, jsonAnswer(c.answer)), nil)
		_, err := client.Robots(t.Context(), testScope, List[RobotFilter]{PageIndex: c.index, PageSize: c.size})
		if c.valid && err != nil || !c.valid && fault.CodeOf(err) != fault.UpstreamInvalidResponse {
			t.Errorf("%s, page %d of %d: got %v", c.answer, c.index, c.size, err)
		}
	}
}
