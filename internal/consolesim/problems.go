package consolesim

import (
	"fmt"
	"net/http"
)

// problem is an error of the API gateway, answered as RFC 7807 application/problem+json.
type problem struct {
	status int
	title  string
	detail string
	header http.Header
}

// Error implements error.
func (p *problem) Error() string { return fmt.Sprintf("%d %s: %s", p.status, p.title, p.detail) }

func problemf(status int, format string, args ...any) *problem {
	return &problem{status: status, title: http.StatusText(status), detail: fmt.Sprintf(format, args...)}
}

func badRequest(format string, args ...any) *problem {
	return problemf(http.StatusBadRequest, format, args...)
}

func notFound(kind, id string) *problem {
	return problemf(http.StatusNotFound, "The %s %s was not found in this department.", kind, id)
}

// unauthorized is a 401; reason is "" if the request had no token.
func unauthorized(reason string) *problem {
	p := problemf(http.StatusUnauthorized, "A valid bearer token is required.")
	challenge := "Bearer"
	if reason != "" {
		p.detail = reason
		challenge = fmt.Sprintf(`Bearer error="invalid_token", error_description=%q`, reason)
	}
	p.header = http.Header{"Www-Authenticate": {challenge}}
	return p
}

// reply encodes the problem.
func (p *problem) reply(d Dialect, instance string) reply {
	e := encoder{d: d}
	e.begin()
	e.str("type", fmt.Sprintf("https://httpstatuses.io/%d", p.status))
	validation := d.ValidationMap && p.status == http.StatusBadRequest
	if validation {
		e.str("title", "One or more validation errors occurred.")
	} else {
		e.str("title", p.title)
	}
	e.int("status", int64(p.status))
	if validation {
		e.beginAt("errors")
		e.strs("Request", []string{p.detail})
		e.end()
	} else {
		e.str("detail", p.detail)
	}
	e.str("instance", instance)
	e.beginAt("extensions")
	e.str("traceId", fmt.Sprintf("00-%016x-01", hash64(instance, p.detail)))
	e.end()
	e.end()
	return reply{status: p.status, contentType: "application/problem+json; charset=utf-8", header: p.header, body: e.bytes()}
}

// oauthError is an error of the single sign-on service (RFC 6749, section 5.2).
type oauthError struct {
	status      int
	code        string
	description string
}

// Error implements error.
func (o *oauthError) Error() string { return o.code + ": " + o.description }

func (o *oauthError) reply() reply {
	e := encoder{}
	e.begin()
	e.str("error", o.code)
	e.str("error_description", o.description)
	e.end()
	return reply{status: o.status, contentType: jsonType, body: e.bytes(), header: http.Header{"Cache-Control": {"no-store"}}}
}
