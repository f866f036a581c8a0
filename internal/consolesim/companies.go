package consolesim

import "strings"

// getCompanies is the document's section Companies: list. It lists only the caller's
// companies.
func (s *Server) getCompanies(c *call) (reply, error) {
	var name string
	for k, v := range c.r.URL.Query() {
		if strings.EqualFold(k, "Name") && len(v) > 0 {
			name = strings.ToLower(v[0])
		}
	}
	e := c.encoder()
	e.begin()
	e.beginListAt("companies")
	for _, id := range c.user.CompanyIDs {
		co := s.st.companyByID[id]
		if !strings.Contains(strings.ToLower(co.Name), name) {
			continue
		}
		e.company(co, c.user)
	}
	e.endList()
	e.end()
	return okJSON(e.bytes()), nil
}

func (e *encoder) company(co *Company, u *User) {
	e.id = co.ID
	e.begin()
	e.str("companyUserId", u.Memberships[co.ID])
	e.str("companyUserName", u.DisplayName)
	e.str("id", co.ID)
	e.str("name", co.Name)
	e.str("description", co.Description)
	e.strs("tags", co.Tags)
	e.props("properties", co.Properties)
	e.created(&co.Meta)
	e.str("companyId", co.CompanyID)
	e.enum("edition", companyEditions, co.Edition)
	if e.extra() {
		e.str("eTag", co.ETag)
		e.str("tenantId", co.ID)
		e.enum("resourceType", resourceTypes, "Company")
	}
	e.end()
}
