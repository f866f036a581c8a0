package consoleclient

import (
	"context"

	"github.com/consoleql/consoleql/internal/scope"
)

// CompanyUser is a user of a company (document, section Users).
type CompanyUser struct {
	UserExtensionInfo    *UserExtensionInfo `json:"userExtensionInfo,omitzero"`
	IsExternalUser       bool               `json:"isExternalUser"`
	HasModifiedPassword  bool               `json:"hasModifiedPassword"`
	ID                   string             `json:"id"`
	UserID               *string            `json:"userId,omitzero"`
	CompanyID            *string            `json:"companyId,omitzero"`
	IsCompanyOwner       bool               `json:"isCompanyOwner"`
	RoleIDs              []string           `json:"roleIds,omitzero"`
	Status               UserStatus         `json:"status,omitzero"`
	ResourceType         ResourceType       `json:"resourceType,omitzero"`
	AssignedDepartmentID *string            `json:"assignedDepartmentId,omitzero"`
	ParentResourceType   ResourceType       `json:"parentResourceType,omitzero"`
	ParentID             *string            `json:"parentId,omitzero"`
	Name                 string             `json:"name"`
	Description          *string            `json:"description,omitzero"`
	ETag                 *string            `json:"eTag,omitzero"`
	Tags                 []string           `json:"tags,omitzero"`
	Properties           StringMap          `json:"properties,omitzero"`
	CreatedAt            DateTime           `json:"createdAt,omitzero"`
	ModifiedAt           DateTime           `json:"modifiedAt,omitzero"`
	LastLoginAt          DateTime           `json:"lastLoginAt,omitzero"`
	DepartmentPath       *string            `json:"departmentPath,omitzero"`
	Email                *string            `json:"email,omitzero"`
	PhoneNumber          *string            `json:"phoneNumber,omitzero"`
	UserName             *string            `json:"userName,omitzero"`

	origin scope.Scope
}

// UserExtensionInfo is a user's data in a third-party directory.
type UserExtensionInfo struct {
	ExtensionID     *string `json:"extensionId,omitzero"`
	ExtensionMobile *string `json:"extensionMobile,omitzero"`
	ExtensionEmail  *string `json:"extensionEmail,omitzero"`
}

// Scope returns the user's company, with the department of the request that returned the user.
func (u *CompanyUser) Scope() scope.Scope { return scopeOf(u.CompanyID, nil, u.origin) }

// Stamp records the scope of the request that returned the user.
func (u *CompanyUser) Stamp(origin scope.Scope) { u.origin = origin }

// OpSelf is the operation as the document writes it.
const OpSelf = "GET /openapi/companyusers/self"

// Self gets the principal as a user of the scope's company (document, section Users: self).
func (c *Client) Self(ctx context.Context, sc scope.Scope) (*CompanyUser, error) {
	return getEntity(ctx, c, sc, request{operation: OpSelf}, func(u *CompanyUser) string { return u.ID })
}
