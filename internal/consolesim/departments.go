package consolesim

// getDepartmentTree is the document's section Departments: tree. It returns the whole
// company's tree. visitorHasAnyRole and visitorHasPermission mark the departments that the
// caller may enter.
func (s *Server) getDepartmentTree(c *call) (reply, error) {
	e := c.encoder()
	e.begin()
	e.int("count", int64(len(c.company.DepartmentIDs)))
	e.key("rootDepartment")
	s.department(e, c.user, s.st.departments[c.company.RootDepartmentID])
	e.end()
	return okJSON(e.bytes()), nil
}

func (s *Server) department(e *encoder, u *User, d *Department) {
	e.begin()
	e.beginListAt("children")
	for _, id := range d.ChildIDs {
		s.department(e, u, s.st.departments[id])
	}
	e.endList()
	e.id = d.ID
	may := s.hasRole(u, d.ID)
	e.str("departmentPath", d.Path)
	e.bool("visitorHasAnyRole", may)
	e.bool("visitorHasPermission", may)
	e.int("userCount", int64(d.UserCount))
	e.str("id", d.ID)
	e.str("departmentId", d.ID)
	e.opt("parentId", d.ParentID)
	e.str("name", d.Name)
	e.str("description", d.Description)
	e.str("eTag", d.ETag)
	e.strs("tags", d.Tags)
	e.props("properties", d.Properties)
	e.time("createdAt", d.CreatedAt)
	e.time("modifiedAt", d.ModifiedAt)
	e.str("companyId", d.CompanyID)
	if e.extra() {
		e.str("tenantId", d.CompanyID)
		e.enum("resourceType", resourceTypes, "Department")
	}
	e.end()
}
