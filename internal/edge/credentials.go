package edge

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
)

// identify puts the principal and the scope of the request into its context. A
// caller who shows nothing is let through: what needs no console (the schema's
// introspection) needs no credentials, and what does is refused there.
func (s *server) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := checkHeaders(r.Header); err != nil {
			graphqlhttp.WriteError(w, r, http.StatusBadRequest, err)
			return
		}
		p, err := s.Principal(r.Context(), r.Header)
		var refused *graphqlhttp.RefusedTokenError
		if errors.As(err, &refused) {
			r = r.WithContext(graphqlhttp.WithRefusal(r.Context(), refused))
		} else if err != nil {
			graphqlhttp.RefuseCredentials(w, r, err)
			return
		}
		sc, err := graphqlhttp.ScopeOf(r)
		if err != nil {
			graphqlhttp.WriteError(w, r, http.StatusBadRequest, err)
			return
		}
		ctx := graphqlhttp.WithIdentity(r.Context(), p, sc)
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// maxCredential bounds a bearer token or an API key, in bytes.
const maxCredential = 16 << 10

// checkHeaders refuses text in another encoding than UTF-8 in the headers that the gateway reads.
func checkHeaders(h http.Header) error {
	for _, name := range [...]string{"Authorization", "X-Api-Key", graphqlhttp.HeaderCompany, graphqlhttp.HeaderDepartment, graphqlhttp.HeaderTrace} {
		for _, value := range h.Values(name) {
			if !utf8.ValidString(value) {
				return fault.BadInput(name, "is not encoded in UTF-8")
			}
		}
	}
	return nil
}

// Principal reads who asks, from the headers of a request or from what stands
// for them. An empty header counts as absent: clients write one where they have no
// token. Credentials that cannot be used are an error, for falling back to
// another identity would answer in the wrong name; so are two of them at once. That
// error is a *refusedTokenError where the Verifier does not accept the token.
func (s *server) Principal(ctx context.Context, header http.Header) (principal.Principal, error) {
	authorization, keys := graphqlhttp.NonEmpty(header.Values("Authorization")), graphqlhttp.NonEmpty(header.Values("X-Api-Key"))
	switch {
	case len(authorization)+len(keys) > 1:
		return principal.Principal{}, fault.New(fault.Unauthenticated, "send one Authorization or one X-Api-Key header, not several")
	case len(keys) == 1:
		return s.Holder(keys[0])
	case len(authorization) == 1:
		return s.bearer(ctx, authorization[0])
	case s.opts.Anonymous:
		return principal.DefaultService(), nil
	default:
		return principal.Principal{}, nil
	}
}

// Holder is who shows an API key.
func (s *server) Holder(key string) (principal.Principal, error) {
	if s.opts.Keys == nil {
		return principal.Principal{}, fault.New(fault.Unauthenticated, "this gateway has no API keys")
	}
	if len(key) > maxCredential {
		return principal.Principal{}, fault.New(fault.Unauthenticated, "the API key is longer than %d bytes", maxCredential)
	}
	if p, ok := s.opts.Keys.Find(key); ok {
		return p, nil
	}
	return principal.Principal{}, fault.New(fault.Unauthenticated, "the API key is not known")
}

// bearer is who shows a bearer token (RFC 6750): one of the gateway's own
// sessions, or a token of the console.
func (s *server) bearer(ctx context.Context, authorization string) (principal.Principal, error) {
	scheme, token, _ := strings.Cut(authorization, " ")
	token = strings.TrimSpace(token)
	switch {
	case len(token) > maxCredential:
		return principal.Principal{}, fault.New(fault.Unauthenticated, "the bearer token is longer than %d bytes", maxCredential)
	case !strings.EqualFold(scheme, "Bearer") || !isToken(token):
		return principal.Principal{}, fault.New(fault.Unauthenticated, "the Authorization header is not of the form: Bearer <token>")
	case principal.IsSessionToken(token):
		return principal.FromSession(token), nil
	case s.opts.Verifier != nil:
		p, err := s.opts.Verifier.Verify(ctx, token)
		if fault.CodeOf(err) == fault.Unauthenticated {
			return principal.Principal{}, &graphqlhttp.RefusedTokenError{Err: err}
		}
		return p, err
	default:
		return principal.FromToken(token), nil
	}
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
