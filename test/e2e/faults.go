package e2e

import (
	"net/http"
	"strings"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// Pages are answers of proxies in front of the console, with their statuses.
func Pages() map[string]consolesim.Fault {
	object := func(status int, body string) consolesim.Fault {
		return consolesim.Fault{Status: status, Body: []byte(body)}
	}
	return map[string]consolesim.Fault{
		"ingress, 404":  consolesim.IngressPage.Fault(http.StatusNotFound),
		"nginx, 404":    consolesim.NginxPage.Fault(http.StatusNotFound),
		"nginx, 403":    consolesim.NginxPage.Fault(http.StatusForbidden),
		"nginx, 401":    consolesim.NginxPage.Fault(http.StatusUnauthorized),
		"nginx, 413":    consolesim.NginxPage.Fault(http.StatusRequestEntityTooLarge),
		"mesh, 403":     consolesim.MeshPage.Fault(http.StatusForbidden),
		"portal, 200":   consolesim.PortalPage.Fault(http.StatusOK),
		"portal, 302":   consolesim.PortalPage.Fault(http.StatusFound),
		"gone, 410":     consolesim.IngressPage.Fault(http.StatusGone),
		"conflict, 409": consolesim.NginxPage.Fault(http.StatusConflict),
		"Kong, 404":     object(http.StatusNotFound, `{"message":"no Route matched with those values","request_id":"8c6b"}`),
		"AWS, 403":      object(http.StatusForbidden, `{"message":"Forbidden"}`),
		"Kong, 401":     object(http.StatusUnauthorized, `{"message":"Unauthorized"}`),
		"Azure, 404":    object(http.StatusNotFound, `{"statusCode":404,"message":"Resource not found"}`),
		"Spring, 404":   object(http.StatusNotFound, `{"timestamp":"2026-01-01","path":"/openapi","status":404,"error":"Not Found","requestId":"1"}`),
		"an object":     object(http.StatusNotFound, `{}`),
	}
}

// AnswerEmpty makes the console execute matching requests and answer with an empty body.
func (w *World) AnswerEmpty(method, part string) {
	w.T.Helper()
	w.T.Cleanup(w.Sim.Fail(func(r *http.Request) bool { return r.Method == method && strings.Contains(r.URL.Path, part) },
		consolesim.Fault{Status: http.StatusOK, Body: []byte{}, After: true}))
}

// ForPath matches the console calls of one path.
func ForPath(path string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.URL.Path == path }
}
