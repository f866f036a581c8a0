package consoleclient

import (
	"context"
	"testing"

	"github.com/consoleql/consoleql/internal/scope"
)

func TestCompanies(t *testing.T) {
	operationTest{
		operation: OpCompanies, path: "/openapi/companies/companylist", query: "Name=云 & Co",
		call: func(ctx context.Context, c *Client) (any, error) {
			companies, err := c.Companies(ctx, testScope, "云 & Co")
			return map[string]any{"companies": companies}, err
		},
	}.run(t)
}

func TestCompaniesWithoutNameOrScope(t *testing.T) {
	console := serve(t, jsonAnswer(`{"Companies":[]}`))
	got, err := newTestClient(t, console, nil).Companies(t.Context(), scope.Scope{}, "")
	if err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
	r := console.last(t)
	if r.Query != "" {
		t.Errorf("query %q", r.Query)
	}
	for _, name := range []string{"CompanyId", "DepartmentId"} {
		if _, sent := r.Header[name]; sent {
			t.Errorf("%s was sent without a scope", name)
		}
	}
}

func TestDepartmentTree(t *testing.T) {
	operationTest{
		operation: OpDepartmentTree, path: "/openapi/departments/tree", single: true,
		call: func(ctx context.Context, c *Client) (any, error) { return c.DepartmentTree(ctx, testScope) },
	}.run(t)
}

func TestDepartmentTreeChildren(t *testing.T) {
	for name, children := range map[string]string{
		"null": `null`, "absent element": `[null]`, "object": `{}`, "empty": `[]`,
	} {
		t.Run(name, func(t *testing.T) {
			console := serve(t, jsonAnswer(`{"count":1,"rootDepartment":{"id":"`+guid+`","name":"root","children":`+children+`}}`))
			got, err := newTestClient(t, console, nil).DepartmentTree(t.Context(), testScope)
			if err != nil {
				t.Fatal(err)
			}
			if got.RootDepartment.Name != "root" || len(got.RootDepartment.Children) != 0 {
				t.Errorf("got %+v", got.RootDepartment)
			}
		})
	}
}

func TestSelf(t *testing.T) {
	operationTest{
		operation: OpSelf, path: "/openapi/companyusers/self", single: true,
		call: func(ctx context.Context, c *Client) (any, error) { return c.Self(ctx, testScope) },
	}.run(t)
}

// A company may have no departments, and white space may follow a response.
func TestDepartmentTreeWithoutRoot(t *testing.T) {
	for name, tree := range map[string]string{
		"null": `{"count":0,"rootDepartment":null}`, "absent": `{"Count":0}`, "white space": `{"count":0}` + "\r\n \t\n",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := newTestClient(t, serve(t, jsonAnswer(tree)), nil).DepartmentTree(t.Context(), testScope)
			if err != nil || got.RootDepartment != nil {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}
