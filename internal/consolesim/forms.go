package consolesim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// Page is an answer of a proxy in front of the console: its content type and body.
type Page struct{ ContentType, Body string }

// Pages that proxies, meshes and portals send instead of the console's answer.
//
//nolint:gochecknoglobals // a table, written by nobody
var (
	IngressPage = Page{"text/plain; charset=utf-8", "default backend - 404"}
	NginxPage   = Page{"text/html", "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"}
	MeshPage    = Page{"text/plain", "RBAC: access denied"}
	PortalPage  = Page{"text/html; charset=utf-8", "<!DOCTYPE html><html><title>Sign in to the network</title></html>"}
)

// Fault answers with the page and a status, without executing the operation.
func (p Page) Fault(status int) Fault {
	return Fault{Status: status, ContentType: p.ContentType, Body: []byte(p.Body)}
}

// GUIDForm is a form of printed GUIDs, named by the letter for .NET's Guid.ToString.
type GUIDForm string

// The forms of GUIDs. The zero value has dashes and lower case.
const (
	GUIDDigits GUIDForm = "N" // without dashes
	GUIDBraces GUIDForm = "B"
	GUIDUpper  GUIDForm = "D" // with dashes, in upper case
)

func (f GUIDForm) print(id string) string {
	switch {
	case f == "" || !isGUID(id):
		return id
	case f == GUIDDigits:
		return strings.ReplaceAll(id, "-", "")
	case f == GUIDBraces:
		return "{" + id + "}"
	}
	return strings.ToUpper(id)
}

// creates are the operations that create an entity.
//
//nolint:gochecknoglobals // a table, written by nobody
var creates = []string{"POST /openapi/queues/{queueId}", "POST /openapi/queues", "POST /openapi/workflows"}

// inDialect converts an operation's answer to the dialect's form.
func (r reply) inDialect(d Dialect, operation string) reply {
	switch r.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		if d.EmptyRefusals && !strings.Contains(operation, "/connect/") {
			r.body = nil
		}
	case http.StatusOK, http.StatusCreated:
		if slices.Contains(creates, operation) {
			r = r.created(d)
		}
	}
	if d.ProblemsAsText && strings.HasPrefix(r.contentType, "application/problem+json") {
		r.contentType = "text/plain; charset=utf-8"
	}
	if d.ByteOrderMark && len(r.body) > 0 {
		r.body = slices.Concat([]byte("\xef\xbb\xbf"), r.body)
	}
	return r
}

func (r reply) created(d Dialect) reply {
	if d.EmptyCreate {
		return reply{status: http.StatusNoContent}
	}
	if !d.CreateReturnsID {
		return r
	}
	var entity map[string]json.RawMessage
	if json.Unmarshal(r.body, &entity) != nil {
		return r
	}
	for _, name := range []string{"id", "Id"} {
		if id, ok := entity[name]; ok {
			r.body = []byte(`{"` + name + `":` + string(id) + `}`)
		}
	}
	return r
}
