package edge

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
)

// identify puts the principal and the scope of the request into its context. It admits callers
// without credentials: introspection needs none, and all else is refused when it calls the
// console.
func (s *server) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := checkHeaders(r.Header); err != nil {
			graphqlhttp.WriteError(w, r, http.StatusBadRequest, err)
			return
		}
		accesslog.FromContext(r.Context()).Trace(r.Context())
		p, err := s.Principal(r.Context(), r.Header)
		if refused, ok := errors.AsType[*graphqlhttp.RefusedTokenError](err); ok {
			r = r.WithContext(graphqlhttp.WithRefusal(r.Context(), refused))
		} else if err != nil {
			s.refuseCredentials(w, r, err)
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

// refuseCredentials answers a request with unusable credentials, and records it in the audit log. It may be a mutation, or
// guess a key.
func (s *server) refuseCredentials(w http.ResponseWriter, r *http.Request, err error) {
	s.opts.Audit.Refused(r.Context(), fault.CodeOf(err))
	graphqlhttp.RefuseCredentials(w, r, err)
}

// admitSignIn refuses callers whose token is refused, unless they only sign in. A WebSocket decides
// for each of its operations.
func (s *server) admitSignIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refused := graphqlhttp.RefusalOf(r.Context())
		if refused == nil || graphqlhttp.IsWebSocket(r) {
			next.ServeHTTP(w, r)
			return
		}
		if p, ok := graphqlhttp.ParametersOf(r.Context()); !ok || r.Method != http.MethodPost || !s.signIn.OnlySignsIn(r.Context(), p) {
			s.refuseCredentials(w, r, refused)
			return
		}
		next.ServeHTTP(w, r.WithContext(graphqlhttp.WithRefusal(r.Context(), nil)))
	})
}

// maxCredential bounds a bearer token or an API key, in bytes.
const maxCredential = 16 << 10

// checkHeaders refuses headers that the gateway reads and that are not UTF-8.
func checkHeaders(h http.Header) error {
	for _, header := range [...]struct{ key, name string }{
		{"Authorization", "Authorization"},
		{"X-Api-Key", "X-Api-Key"},
		{graphqlhttp.KeyCompany, graphqlhttp.HeaderCompany},
		{graphqlhttp.KeyDepartment, graphqlhttp.HeaderDepartment},
		{graphqlhttp.HeaderTrace, graphqlhttp.HeaderTrace},
	} {
		for _, value := range h[header.key] {
			if !utf8.ValidString(value) {
				return fault.BadInput(header.name, "is not encoded in UTF-8")
			}
		}
	}
	return nil
}

// Principal returns the caller's identity, from the headers of a request or a WebSocket's
// payload. An empty header counts as absent: some clients send one when they have no token.
// Unusable credentials, and two at once, are an error: another identity would answer in the
// wrong name. The error is a *RefusedTokenError if the Verifier rejects the token.
func (s *server) Principal(ctx context.Context, header http.Header) (principal.Principal, error) {
	authorization, keys := graphqlhttp.NonEmpty(header.Values("Authorization")), graphqlhttp.NonEmpty(header.Values("X-Api-Key"))
	switch {
	case len(authorization)+len(keys) > 1:
		return principal.Principal{}, fault.New(fault.Unauthenticated, "send one Authorization or one X-Api-Key header, not several")
	case len(keys) == 1:
		return s.APIKeyPrincipal(keys[0])
	case len(authorization) == 1:
		return s.bearer(ctx, authorization[0])
	case s.opts.Anonymous:
		return principal.DefaultService(), nil
	default:
		return principal.Principal{}, nil
	}
}

// APIKeyPrincipal returns the principal of an API key.
func (s *server) APIKeyPrincipal(key string) (principal.Principal, error) {
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

// bearer returns the principal of a bearer token (RFC 6750): a session token of the gateway,
// or a token of the console.
func (s *server) bearer(ctx context.Context, authorization string) (principal.Principal, error) {
	scheme, token, _ := strings.Cut(authorization, " ")
	token = strings.TrimSpace(token)
	switch {
	case len(token) > maxCredential:
		return principal.Principal{}, fault.New(fault.Unauthenticated, "the bearer token is longer than %d bytes", maxCredential)
	case !strings.EqualFold(scheme, "Bearer") || !principal.IsBearerToken(token):
		return principal.Principal{}, fault.New(fault.Unauthenticated, "the Authorization header is not of the form: Bearer <token>")
	case principal.IsSessionToken(token):
		return principal.FromSession(token), nil
	case s.isAPIKey(token):
		return principal.Principal{}, fault.New(fault.Unauthenticated, "the bearer token is an API key: send it as X-Api-Key")
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

// isAPIKey reports whether a bearer token is an API key, which must not reach the console. Operators may choose keys
// without the prefix.
func (s *server) isAPIKey(token string) bool {
	if strings.HasPrefix(token, principal.KeyPrefix) {
		return true
	}
	if s.opts.Keys == nil || s.opts.Verifier != nil { // the verifier refuses it
		return false
	}
	_, found := s.opts.Keys.Find(token)
	return found
}
