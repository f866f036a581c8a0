package graphqlhttp

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// The headers of a request's scope. They are the console's own.
const (
	HeaderCompany    = "CompanyId"
	HeaderDepartment = "DepartmentId"
)

// The same headers as keys of an http.Header.
const (
	KeyCompany    = "Companyid"
	KeyDepartment = "Departmentid"
)

// NonEmpty returns the values of a header that are not empty. It allocates only if some are
// empty.
func NonEmpty(values []string) []string {
	isEmpty := func(value string) bool { return strings.Trim(value, " \t") == "" }
	if !slices.ContainsFunc(values, isEmpty) {
		return values
	}
	return slices.DeleteFunc(slices.Clone(values), isEmpty)
}

// WithIdentity returns ctx with a principal, which the access log names, and a scope. An API key that is limited to one
// scope supplies the missing parts of the scope.
func WithIdentity(ctx context.Context, p principal.Principal, sc scope.Scope) context.Context {
	if only := p.Limits().OnlyScope(); sc.CompanyID == "" || sc.CompanyID == only.CompanyID {
		sc = sc.Or(only)
	}
	accesslog.FromContext(ctx).Identify(p)
	return scope.NewContext(principal.NewContext(ctx, p), sc)
}

// ScopeOf returns the scope that the headers of a request name.
func ScopeOf(r *http.Request) (scope.Scope, error) {
	company, err := scopeID(HeaderCompany, r.Header[KeyCompany])
	if err != nil {
		return scope.Scope{}, err
	}
	department, err := scopeID(HeaderDepartment, r.Header[KeyDepartment])
	return scope.Scope{CompanyID: company, DepartmentID: department}, err
}

// scopeID returns one of the scope's headers; empty if it is absent.
func scopeID(header string, values []string) (string, error) {
	values = NonEmpty(values)
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", fault.BadInput(header, "is there more than once")
	}
	id, err := scope.ParseID(strings.TrimSpace(values[0]))
	if err != nil {
		return "", fault.BadInput(header, "%w", err)
	}
	return id, nil
}

// HeaderTrace requests a trace, which a cached answer cannot have. It is in canonical form.
const HeaderTrace = "X-Consoleql-Trace"
