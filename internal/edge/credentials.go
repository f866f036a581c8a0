package edge

import (
	"net/http"
	"strings"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// The headers of a request's scope: the console's own.
const (
	headerCompany    = "CompanyId"
	headerDepartment = "DepartmentId"
)

// identify puts the principal and the scope of the request into its context. A
// caller who shows nothing is let through: what needs no console (the schema's
// introspection) needs no credentials, and what does is refused there.
func (s *server) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := s.principalOf(r)
		if err != nil {
			w.Header().Set("WWW-Authenticate", "Bearer")
			writeError(w, http.StatusUnauthorized, err)
			return
		}
		sc, err := scopeOf(r)
		if err != nil {
			writeError(w, http.StatusBadRequest, err)
			return
		}
		ctx := scope.NewContext(principal.NewContext(r.Context(), p), sc)
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// principalOf reads who asks. Credentials that cannot be used are an error, for
// falling back to another identity would answer in the wrong name.
func (s *server) principalOf(r *http.Request) (principal.Principal, error) {
	if r.Header.Get("X-Api-Key") != "" {
		return principal.Principal{}, fault.New(fault.Unauthenticated, "this gateway has no API keys")
	}
	authorization := r.Header.Values("Authorization")
	switch len(authorization) {
	case 0:
		if s.opts.Anonymous {
			return principal.DefaultService(), nil
		}
		return principal.Principal{}, nil
	case 1:
		scheme, token, _ := strings.Cut(authorization[0], " ")
		if strings.EqualFold(scheme, "Bearer") && isToken(strings.TrimSpace(token)) {
			return principal.FromToken(strings.TrimSpace(token)), nil
		}
	}
	return principal.Principal{}, fault.New(fault.Unauthenticated, "the Authorization header is not of the form: Bearer <token>")
}

// isToken says whether s is a b64token of RFC 6750, so that nothing else is
// ever sent on in a header.
func isToken(s string) bool {
	if s == "" {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~+/=", c) >= 0:
		default:
			return false
		}
	}
	return true
}

func scopeOf(r *http.Request) (scope.Scope, error) {
	var sc scope.Scope
	for name, id := range map[string]*string{headerCompany: &sc.CompanyID, headerDepartment: &sc.DepartmentID} {
		value := strings.TrimSpace(r.Header.Get(name))
		if value == "" {
			continue
		}
		parsed, err := scope.ParseID(value)
		if err != nil {
			return sc, fault.BadInput(name, "%w", err)
		}
		*id = parsed
	}
	return sc, nil
}
