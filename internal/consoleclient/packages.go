package consoleclient

import (
	"context"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/internal/scope"
)

// Package is an automation package, which workflows run (document, section Packages).
type Package struct {
	ID          string  `json:"id"`
	Name        string  `json:"name"`
	Description *string `json:"description,omitzero"`
	// TotalDownloads is 64 bits wide on the wire and saturates here.
	TotalDownloads  Int      `json:"totalDownloads"`
	LastVersion     *string  `json:"lastVersion,omitzero"`
	LastVersionID   *string  `json:"lastVersionId,omitzero"`
	CreatedAt       DateTime `json:"createdAt,omitzero"`
	ModifiedAt      DateTime `json:"modifiedAt,omitzero"`
	CreatedBy       *string  `json:"createdBy,omitzero"`
	CreatedByName   *string  `json:"createdByName,omitzero"`
	ModifiedBy      *string  `json:"modifiedBy,omitzero"`
	ModifiedByName  *string  `json:"modifiedByName,omitzero"`
	Tags            []string `json:"tags,omitzero"`
	CompanyID       *string  `json:"companyId,omitzero"`
	DepartmentID    *string  `json:"departmentId,omitzero"`
	IconURL         *string  `json:"iconUrl,omitzero"`
	FullDescription *string  `json:"fullDescription,omitzero"`
	// Versions is nil if the response does not include them, and not nil but empty if there are none.
	Versions []*PackageVersion `json:"versions,omitzero"`
	// ETag is the version that an update must name. The console sends it although the document does not list it here.
	ETag *string `json:"eTag,omitzero"`

	origin scope.Scope
}

// PackageVersion is one version of a package.
type PackageVersion struct {
	ID              string      `json:"id"`
	PackageID       *string     `json:"packageId,omitzero"`
	Version         *string     `json:"version,omitzero"`
	Description     *string     `json:"description,omitzero"`
	Arguments       []*Argument `json:"arguments,omitzero"`
	ETag            *string     `json:"eTag,omitzero"`
	UploadTime      DateTime    `json:"uploadTime,omitzero"`
	TotalDownloads  Int         `json:"totalDownloads"`
	CreatedAt       DateTime    `json:"createdAt,omitzero"`
	ModifiedAt      DateTime    `json:"modifiedAt,omitzero"`
	CreatedBy       *string     `json:"createdBy,omitzero"`
	CreatedByName   *string     `json:"createdByName,omitzero"`
	ModifiedBy      *string     `json:"modifiedBy,omitzero"`
	ModifiedByName  *string     `json:"modifiedByName,omitzero"`
	CompanyID       *string     `json:"companyId,omitzero"`
	DepartmentID    *string     `json:"departmentId,omitzero"`
	FullDescription *string     `json:"fullDescription,omitzero"`

	origin scope.Scope
}

// Argument is a parameter of a package version, workflow, layout node or job.
type Argument struct {
	Name      string            `json:"name"`
	Type      *string           `json:"type,omitzero"`
	Direction ArgumentDirection `json:"direction,omitzero"`
	// DefaultValue is an asset's id if AssetContent is not nil.
	DefaultValue *string       `json:"defaultValue,omitzero"`
	AssetContent *AssetContent `json:"assetContent,omitzero"`
}

// AssetContent is the asset that supplies an argument's value.
type AssetContent struct {
	Name                 string  `json:"name"`
	Description          *string `json:"description,omitzero"`
	IsRequiredEncryption bool    `json:"isRequiredEncryption"`
}

// ArgumentInput is an Argument in a request. Nil fields are not sent.
type ArgumentInput struct {
	Name      string             `json:"name"`
	Type      *string            `json:"type,omitzero"`
	Direction *ArgumentDirection `json:"direction,omitzero"`
	// DefaultValue is an asset's id if AssetContent is not nil.
	DefaultValue *string            `json:"defaultValue,omitzero"`
	AssetContent *AssetContentInput `json:"assetContent,omitzero"`
}

// AssetContentInput is an AssetContent in a request. Nil fields are not sent.
type AssetContentInput struct {
	Name                 string  `json:"name"`
	Description          *string `json:"description,omitzero"`
	IsRequiredEncryption *bool   `json:"isRequiredEncryption,omitzero"`
}

// PackageFilter holds the documented filters of packages. Empty fields are not sent.
type PackageFilter struct {
	Name, SearchString string
	// StartTime and EndTime bound the creation time.
	StartTime, EndTime DateTime
	// IncludeVersions includes each package's versions.
	IncludeVersions bool
}

func (f PackageFilter) addTo(q query) {
	q.add("Name", f.Name)
	q.add("SearchString", f.SearchString)
	q.add("StartTime", string(f.StartTime))
	q.add("EndTime", string(f.EndTime))
	if f.IncludeVersions {
		q.add("IncludeVersions", "true")
	}
}

// PackageUpdate describes the changes to a package. Unset fields keep their value.
type PackageUpdate struct {
	// ETag is the package's ETag as it was read. The console rejects an outdated one with fault.Conflict.
	ETag graphql.Omittable[*string]  `json:"eTag,omitzero"`
	Tags graphql.Omittable[[]string] `json:"tags,omitzero"`
}

// Scope returns the package's company and department.
func (p *Package) Scope() scope.Scope { return scopeOf(p.CompanyID, p.DepartmentID, p.origin) }

// Stamp records the scope of the request that returned the package and its versions.
func (p *Package) Stamp(origin scope.Scope) {
	p.origin = origin
	for _, v := range p.Versions {
		v.Stamp(p.Scope())
	}
}

// NodeID returns the package's NodeID as text.
func (p *Package) NodeID() string { return NodeID{"Package", p.Scope(), p.ID}.String() }

func (p *Package) checkIDs() error { return checkAllIDs(checkID("Package", p.ID), p.Versions) }

// Scope returns the version's company and department, by default its package's.
func (v *PackageVersion) Scope() scope.Scope { return scopeOf(v.CompanyID, v.DepartmentID, v.origin) }

// Stamp records the scope of the package that contains the version.
func (v *PackageVersion) Stamp(origin scope.Scope) { v.origin = origin }

func (v *PackageVersion) checkIDs() error { return checkID("PackageVersion", v.ID) }

func packageID(p *Package) string { return p.ID }

// The operations as the document writes them.
const (
	OpPackages      = "GET /openapi/packages"
	OpPackage       = "GET /openapi/packages/{packageId}"
	OpUpdatePackage = "PATCH /openapi/packages/{packageId}"
	OpDeletePackage = "DELETE /openapi/packages/{packageId}"
)

// Packages lists the packages of the scope's department (document, section Packages: list). The console does not
// support Ids here. Versions are nil unless the filter includes them.
func (c *Client) Packages(ctx context.Context, sc scope.Scope, l List[PackageFilter]) (*Page[Package], error) {
	page, err := getPage[Package](ctx, c, sc, request{operation: OpPackages, query: l.query()}, "list")
	if err != nil {
		return nil, err
	}
	for _, p := range page.List {
		switch {
		case l.Filter.IncludeVersions && p.Versions == nil:
			p.Versions = []*PackageVersion{}
		case !l.Filter.IncludeVersions && len(p.Versions) == 0:
			// Without IncludeVersions, a console may send null or [].
			p.Versions = nil
		}
	}
	return page, nil
}

// Package gets a package with its versions, which are never nil (document, section Packages: details).
func (c *Client) Package(ctx context.Context, sc scope.Scope, id string) (*Package, error) {
	p, err := getEntity(ctx, c, sc, request{operation: OpPackage, ids: []string{id}}, packageID)
	if err != nil {
		return nil, err
	}
	if p.Versions == nil {
		p.Versions = []*PackageVersion{}
	}
	return p, nil
}

// UpdatePackage changes a package and returns its new state, nil if the response holds none (document, section
// Packages: update).
func (c *Client) UpdatePackage(ctx context.Context, sc scope.Scope, id string, u PackageUpdate) (*Package, error) {
	r := request{operation: OpUpdatePackage, ids: []string{id}, body: u, optional: true, updates: true}
	p, err := getEntity(ctx, c, sc, r, packageID)
	if err != nil || p == nil {
		return nil, err
	}
	if len(p.Versions) == 0 {
		p.Versions = nil // an update without versions omits them; it does not delete them
	}
	return p, nil
}

// DeletePackage deletes a package (document, section Packages: delete).
func (c *Client) DeletePackage(ctx context.Context, sc scope.Scope, id string) error {
	return c.do(ctx, sc, request{operation: OpDeletePackage, ids: []string{id}}, nil)
}
