package consolesim

import "time"

// getSelf is the document's section Users: the caller as a user of the company.
func (s *Server) getSelf(c *call) (reply, error) {
	u, co := c.user, c.company
	dept := s.st.departments[u.Assigned[co.ID]]
	e := c.encoder()
	e.id = u.Memberships[co.ID]
	e.begin()
	e.beginAt("userExtensionInfo")
	e.str("extensionId", "")
	e.str("extensionMobile", "")
	e.str("extensionEmail", u.Email)
	e.end()
	e.bool("isExternalUser", false)
	e.bool("hasModifiedPassword", true)
	e.str("id", e.id)
	e.str("userId", u.ID)
	e.str("companyId", co.ID)
	e.bool("isCompanyOwner", u.Owner)
	e.strs("roleIds", []string{guidFrom("role", co.ID, u.ID)})
	e.enum("status", userStatuses, "Active")
	e.enum("resourceType", resourceTypes, "CompanyUser")
	e.str("assignedDepartmentId", dept.ID)
	e.enum("parentResourceType", resourceTypes, "Department")
	e.str("parentId", dept.ID)
	e.str("name", u.DisplayName)
	e.str("description", "Demonstration account")
	e.str("eTag", `"`+guidFrom("etag", co.ID, u.ID)[:8]+`"`)
	e.strs("tags", nil)
	e.props("properties", nil)
	e.time("createdAt", co.CreatedAt)
	e.time("modifiedAt", co.CreatedAt)
	e.time("lastLoginAt", s.opts.Now().Truncate(time.Hour))
	e.str("departmentPath", dept.Path)
	e.str("email", u.Email)
	e.str("phoneNumber", "")
	e.str("userName", u.Username)
	if e.extra() {
		e.str("tenantId", co.ID)
	}
	e.end()
	return okJSON(e.bytes()), nil
}
