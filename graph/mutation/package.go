package mutation

import (
	"context"
	"io"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/graph/scalar"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/scope"
)

// packageConsole contains the console calls of package mutations.
type packageConsole interface {
	Package(ctx context.Context, sc scope.Scope, id string) (*cc.Package, error)
	UpdatePackage(ctx context.Context, sc scope.Scope, id string, u cc.PackageUpdate) (*cc.Package, error)
	DeletePackage(ctx context.Context, sc scope.Scope, id string) error
	UploadPackage(ctx context.Context, sc scope.Scope, file io.Reader, size int64) (*cc.UploadedPackage, error)
	CreatePackageUpload(ctx context.Context, sc scope.Scope) (*cc.PackageUpload, error)
	PutPackageFile(ctx context.Context, channel cc.UploadChannel, file io.Reader, size int64) error
	CompletePackageUpload(ctx context.Context, sc scope.Scope, id string) (*cc.UploadedPackage, error)
}

// UpdatePackageInput names a package and its new values.
type UpdatePackageInput struct {
	ID string
	cc.PackageUpdate
}

// DeletePackageInput names a package.
type DeletePackageInput struct{ ID string }

// UploadPackageInput is a package file, and its length in bytes if the request does not state
// it.
type UploadPackageInput struct {
	File scalar.Upload
	Size *scalar.Size
}

// CompletePackageUploadInput names a prepared upload.
type CompletePackageUploadInput struct {
	ID             string
	IdempotencyKey *string `json:"-"`
}

// UpdatePackagePayload is a changed package. Answer is nil if the console's answer has none.
type UpdatePackagePayload struct{ Changed[cc.Package] }

// DeletePackagePayload names a deleted package.
type DeletePackagePayload struct{ DeletedID string }

// UploadPackagePayload is the package and version of an uploaded file.
type UploadPackagePayload struct{ *cc.UploadedPackage }

// CreatePackageUploadPayload is a prepared upload.
type CreatePackageUploadPayload struct{ Upload *cc.PackageUpload }

// CompletePackageUploadPayload is the package and version of an uploaded file.
type CompletePackageUploadPayload struct{ *cc.UploadedPackage }

func (p *UploadPackagePayload) created() []string { return uploadedIDs(p.UploadedPackage) }

func (p *CreatePackageUploadPayload) created() []string { return []string{p.Upload.ID} }

func (p *CompletePackageUploadPayload) created() []string { return uploadedIDs(p.UploadedPackage) }

// uploadedIDs returns the ids of an uploaded package and its version.
func uploadedIDs(u *cc.UploadedPackage) []string {
	ids := []string{u.PackageID}
	if u.PackageVersionID != nil {
		ids = append(ids, *u.PackageVersionID)
	}
	return ids
}

// packageInputs decode and check the input of each mutation of this file.
func packageInputs() map[string]inputCheck {
	return map[string]inputCheck{
		"updatePackage":         input("UpdatePackageInput", checkPackageUpdate),
		"deletePackage":         input[DeletePackageInput]("DeletePackageInput", nil),
		"uploadPackage":         input[UploadPackageInput]("UploadPackageInput", nil),
		"completePackageUpload": input("CompletePackageUploadInput", checkUploadCompletion),
	}
}

func checkPackageUpdate(in UpdatePackageInput) error {
	var c checks
	c.line("input.etag", in.ETag.Value())
	c.lines("input.tags", in.Tags.Value())
	return c.err
}

func checkUploadCompletion(in CompletePackageUploadInput) error {
	var c checks
	c.key(in.IdempotencyKey)
	return c.err
}

// UpdatePackage changes a package's labels. Without an ETag it changes the current version of
// the package.
func (s *Service) UpdatePackage(ctx context.Context, in UpdatePackageInput) (*UpdatePackagePayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*UpdatePackagePayload, error) {
		guessed := false
		if etag, set := in.ETag.ValueOK(); !set || etag == nil {
			p, err := s.packageUncached(ctx, sc, in.ID)
			if err != nil {
				return nil, fault.WithOutcome(err, fault.NotSent)
			}
			in.ETag, guessed = etagOf(p)
		}
		p, err := s.console.UpdatePackage(ctx, sc, in.ID, in.PackageUpdate)
		if guessed && fault.CodeOf(err) == fault.Conflict && fault.OutcomeOf(err) == fault.Refused {
			in.ETag = graphql.Omittable[*string]{}
			p, err = s.console.UpdatePackage(ctx, sc, in.ID, in.PackageUpdate)
		}
		return &UpdatePackagePayload{Changed[cc.Package]{Answer: p, Target: Target{Scope: sc, ID: in.ID}}}, err
	})
}

// etagOf returns the ETag for an update of p: the package's own. A console that sends none
// ignores ETags, or wants that of the latest version. The document lists an ETag only there,
// so that etagOf falls back to it.
func etagOf(p *cc.Package) (etag graphql.Omittable[*string], guessed bool) {
	if p.ETag != nil {
		return graphql.OmittableOf(p.ETag), false
	}
	for _, v := range p.Versions {
		if p.LastVersionID != nil && v.ETag != nil && strings.EqualFold(v.ID, *p.LastVersionID) {
			return graphql.OmittableOf(v.ETag), true
		}
	}
	return graphql.Omittable[*string]{}, false
}

// DeletePackage deletes a package.
func (s *Service) DeletePackage(ctx context.Context, in DeletePackageInput) (*DeletePackagePayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*DeletePackagePayload, error) {
		return &DeletePackagePayload{DeletedID: in.ID}, s.console.DeletePackage(ctx, sc, in.ID)
	})
}

// packageUncached reads a package without caches, since the console refuses an old ETag.
func (s *Service) packageUncached(ctx context.Context, sc scope.Scope, id string) (*cc.Package, error) {
	state := operation.New(operation.ReadOptions{Refresh: true})
	p, err := s.console.Package(operation.NewContext(ctx, state), sc, id)
	for _, r := range state.Reads() {
		operation.FromContext(ctx).Add(r)
	}
	return p, err
}
