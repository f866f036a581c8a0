package consoleclient

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/consoleql/consoleql/internal/consoleclient/admission"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// UploadedPackage is the result of an upload (document, section Packages: upload).
type UploadedPackage struct {
	PackageID        string  `json:"packageId"`
	PackageVersionID *string `json:"packageVersionId,omitzero"`
	PackageName      *string `json:"packageName,omitzero"`
	LastVersion      *string `json:"lastVersion,omitzero"`

	origin scope.Scope
}

// PackageUpload is a prepared upload: its target, and the id for its completion (document, section Packages: create
// upload address).
type PackageUpload struct {
	ID           string         `json:"id"`
	Channel      *UploadChannel `json:"channel,omitzero"`
	CreatedAt    DateTime       `json:"createdAt,omitzero"`
	CompanyID    *string        `json:"companyId,omitzero"`
	DepartmentID *string        `json:"departmentId,omitzero"`

	origin scope.Scope
}

// UploadChannel is the target of an upload with its headers. The URI is a secret, because it allows anyone to upload.
type UploadChannel struct {
	URI     string    `json:"uri"`
	Headers StringMap `json:"headers,omitzero"`
}

// String hides the address.
func (UploadChannel) String() string { return "UploadChannel(hidden)" }

// GoString hides the address.
func (u UploadChannel) GoString() string { return u.String() }

// LogValue hides the address.
func (u UploadChannel) LogValue() slog.Value { return slog.StringValue(u.String()) }

// Scope returns the scope of the upload.
func (u *UploadedPackage) Scope() scope.Scope { return scopeOf(nil, nil, u.origin) }

// Stamp records the scope of the request that returned the result.
func (u *UploadedPackage) Stamp(origin scope.Scope) { u.origin = origin }

// Scope returns the target company and department of the upload.
func (u *PackageUpload) Scope() scope.Scope { return scopeOf(u.CompanyID, u.DepartmentID, u.origin) }

// Stamp records the scope of the request that returned the upload.
func (u *PackageUpload) Stamp(origin scope.Scope) { u.origin = origin }

func uploadedID(u *UploadedPackage) string { return u.PackageID }

// The operations as the document writes them.
const (
	OpUploadPackage   = "PUT /openapi/packages"
	OpCreateUpload    = "POST /openapi/preloadedVersionFiles"
	OpPutPackageFile  = "PUT storage"
	OpCompleteUpload  = "PATCH /openapi/preloadedVersionFiles/{id}"
	octetStream       = "application/octet-stream"
	headerContentType = "Content-Type"
)

// UploadPackage sends a package file (.dgs), which creates a package or a version of one (document, section Packages:
// upload). The file is streamed; size is its length in bytes, -1 if unknown. The document limits it to 200 MiB.
// Larger files go through CreatePackageUpload, PutPackageFile and CompletePackageUpload. It returns nil if the
// response holds no result.
func (c *Client) UploadPackage(ctx context.Context, sc scope.Scope, file io.Reader, size int64) (*UploadedPackage, error) {
	r := request{operation: OpUploadPackage, file: file, size: size, timeout: c.uploadTimeout, optional: true}
	return getEntity(ctx, c, sc, r, uploadedID)
}

// CreatePackageUpload prepares the upload of a package file (document, section Packages: create upload address). The
// call is retried like a GET, because a prepared upload has no effect. It returns nil if the response holds no
// upload.
func (c *Client) CreatePackageUpload(ctx context.Context, sc scope.Scope) (*PackageUpload, error) {
	u, err := getEntity(ctx, c, sc, request{operation: OpCreateUpload, repeatable: true, optional: true}, func(u *PackageUpload) string { return u.ID })
	if err != nil || u == nil {
		return nil, err
	}
	if u.Channel == nil || u.Channel.URI == "" {
		err := invalid(OpCreateUpload, http.StatusOK, "the answer names no upload channel", nil)
		return nil, fault.WithOutcome(err, fault.Done)
	}
	return u, nil
}

// PutPackageFile sends a file to the channel's URI with exactly the channel's headers (document, section Packages:
// put file). The storage host receives neither the token nor the scope, and redirects are not followed. The file is
// streamed; size is its length in bytes, -1 if unknown. The upload succeeded only if the storage answers 2xx without
// a body or with JSON. A page comes from an intermediary.
func (c *Client) PutPackageFile(ctx context.Context, channel UploadChannel, file io.Reader, size int64) error {
	u, err := url.Parse(channel.URI)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		// Neither the URI nor the cause is quoted, because both may hold the key to the storage.
		return invalid(OpCreateUpload, http.StatusOK, "the upload channel is not an http or https URL", nil)
	}
	for _, h := range channel.Headers {
		if !httpguts.ValidHeaderFieldName(h.Name) || !httpguts.ValidHeaderFieldValue(h.Value) || strings.EqualFold(h.Name, "Host") && !httpguts.ValidHostHeader(h.Value) {
			return invalid(OpCreateUpload, http.StatusOK, "the upload channel has a header that cannot be sent", nil)
		}
	}
	content := fileContent(file, size)
	ex := exchange{operation: OpPutPackageFile, class: admission.Uploads, timeout: c.uploadTimeout, storage: true}
	return c.http.exchange(ctx, ex, func(ctx context.Context) (*http.Request, error) {
		if content.body == nil {
			return nil, errStream
		}
		req, err := newRequest(ctx, http.MethodPut, u, content.body(), size)
		if err != nil {
			return nil, err
		}
		req.Header.Set("User-Agent", "") // keeps net/http from adding its own
		for _, h := range channel.Headers {
			switch {
			case strings.EqualFold(h.Name, "Host"):
				req.Host = h.Value
			case strings.EqualFold(h.Name, "Content-Length"):
				// net/http sends the length of the body.
			default:
				req.Header.Set(h.Name, h.Value)
			}
		}
		return req, nil
	}, nil)
}

// CompletePackageUpload reports to the console that an upload's file is complete (document, section Packages:
// complete upload). It returns nil if the response holds no result.
func (c *Client) CompletePackageUpload(ctx context.Context, sc scope.Scope, id string) (*UploadedPackage, error) {
	return getEntity(ctx, c, sc, request{operation: OpCompleteUpload, ids: []string{id}, optional: true}, uploadedID)
}
