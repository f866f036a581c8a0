package consoleclient

import (
	"context"
	"net/url"

	"github.com/consoleql/consoleql/internal/scope"
)

// Company is a company that the principal belongs to (document, section Companies).
type Company struct {
	// CompanyUserID and CompanyUserName are the principal's identity within the company.
	CompanyUserID   *string        `json:"companyUserId,omitzero"`
	CompanyUserName *string        `json:"companyUserName,omitzero"`
	ID              string         `json:"id"`
	Name            string         `json:"name"`
	Description     *string        `json:"description,omitzero"`
	Tags            []string       `json:"tags,omitzero"`
	Properties      StringMap      `json:"properties,omitzero"`
	CreatedAt       DateTime       `json:"createdAt,omitzero"`
	CreatedBy       *string        `json:"createdBy,omitzero"`
	CreatedByName   *string        `json:"createdByName,omitzero"`
	ModifiedBy      *string        `json:"modifiedBy,omitzero"`
	ModifiedByName  *string        `json:"modifiedByName,omitzero"`
	ModifiedAt      DateTime       `json:"modifiedAt,omitzero"`
	CompanyID       *string        `json:"companyId,omitzero"`
	Edition         CompanyEdition `json:"edition,omitzero"`
}

// Scope returns the company itself, without a department.
func (c *Company) Scope() scope.Scope {
	return scope.Scope{CompanyID: scopeOf(c.CompanyID, nil, scope.Scope{CompanyID: c.ID}).CompanyID}
}

// NodeID returns the company's NodeID as text.
func (c *Company) NodeID() string { return NodeID{"Company", c.Scope(), c.ID}.String() }

func (c *Company) checkIDs() error { return checkID("Company", c.ID) }

// OpCompanies is the operation as the document writes it.
const OpCompanies = "GET /openapi/companies/companylist"

// Companies lists the principal's companies whose name contains name; empty: all (document, section Companies: list).
func (c *Client) Companies(ctx context.Context, sc scope.Scope, name string) ([]*Company, error) {
	q := query{}
	q.add("Name", name)
	page, err := getPage[Company](ctx, c, sc, request{operation: OpCompanies, query: url.Values(q)}, "companies", "list")
	if err != nil {
		return nil, err
	}
	return page.List, nil
}
