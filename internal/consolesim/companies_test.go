package consolesim

import (
	"net/url"
	"testing"
)

func TestCompanyList(t *testing.T) {
	c := start(t, Options{})
	all := c.get("/openapi/companies/companylist").object().list("companies")
	if len(all) != 3 {
		t.Fatalf("%d companies, want 3", len(all))
	}
	for i, co := range c.Data().Companies() {
		if all[i].str("id") != co.ID || all[i].str("companyId") != co.ID || all[i].str("name") != co.Name ||
			all[i].str("edition") != co.Edition || all[i].str("companyUserId") == "" || all[i].str("companyUserName") == "" {
			t.Errorf("company %v, want %v", all[i], co)
		}
	}
	hit := c.get("/openapi/companies/companylist?name=" + url.QueryEscape("制造")).object().list("companies")
	if len(hit) != 1 || hit[0].str("id") != c.company {
		t.Errorf("companies by name: %v", hit)
	}
	solo := c.as(c.Token("solo"), "", "").get("/openapi/companies/companylist").object().list("companies")
	if len(solo) != 1 {
		t.Errorf("user of one company sees %d", len(solo))
	}
}

func TestDepartmentTree(t *testing.T) {
	c := start(t, Options{})
	for i, co := range c.Data().Companies() {
		o := c.as(c.token, co.ID, "").get("/openapi/departments/tree").object()
		count, deepest := 0, 0
		var walk func(d object, parent string, level int)
		walk = func(d object, parent string, level int) {
			count++
			deepest = max(deepest, level)
			if d.str("parentId") != parent || d.str("companyId") != co.ID || d.str("departmentId") != d.str("id") || d.str("name") == "" {
				t.Errorf("department %v below %q", d, parent)
			}
			for _, child := range d.list("children") {
				walk(child, d.str("id"), level+1)
			}
		}
		walk(object(o["rootDepartment"].(map[string]any)), "", 1)
		if want := len(c.Data().Departments(co.ID)); count != want || o.int("count") != want || count < 8 || count > 14 {
			t.Errorf("company %d: %d departments, count %d, want %d", i, count, o.int("count"), want)
		}
		if deepest != 3 {
			t.Errorf("company %d: %d levels, want 3", i, deepest)
		}
	}
}

func TestDepartmentTreeShowsPermissions(t *testing.T) {
	c := start(t, Options{})
	u := c.Data().RestrictedUser()
	root := c.as(c.Token(u.Username), c.company, "").get("/openapi/departments/tree").object()
	allowed := 0
	var walk func(d object)
	walk = func(d object) {
		if d["visitorHasPermission"] == true && d["visitorHasAnyRole"] == true {
			allowed++
		}
		for _, child := range d.list("children") {
			walk(child)
		}
	}
	walk(object(root["rootDepartment"].(map[string]any)))
	if allowed != 2 {
		t.Errorf("restricted user may enter %d departments, want 2", allowed)
	}
}

func TestSelf(t *testing.T) {
	c := start(t, Options{})
	for _, u := range c.Data().Users() {
		for _, company := range u.CompanyIDs {
			o := c.as(c.Token(u.Username), company, "").get("/openapi/companyusers/self").object()
			if o.str("id") != u.Memberships[company] || o.str("userId") != u.ID || o.str("userName") != u.Username ||
				o.str("companyId") != company || o.str("assignedDepartmentId") != u.Assigned[company] ||
				o["isCompanyOwner"] != u.Owner || o.str("status") != "Active" || o.str("resourceType") != "CompanyUser" {
				t.Errorf("self of %s in %s: %v", u.Username, company, o)
			}
		}
	}
}
