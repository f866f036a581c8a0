// Package verify checks console tokens offline with the public keys of the console's SSO. The SSO is an OpenID
// Connect provider, and its access tokens are JWTs signed by RS256 (RFC 7519, RFC 9068).
//
// No claim is used before its signature is verified. No other algorithm is accepted: this rejects unsigned tokens,
// and tokens signed with a public key as a shared secret (RFC 8725, section 3.1).
package verify

import (
	"context"
	"crypto/rsa"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
)

const (
	// audience is the audience of the console's access tokens.
	audience = "apigateway"
	// expiryLeeway and startLeeway are the accepted clock differences between gateway and SSO, at a token's expiry and
	// at its start.
	expiryLeeway = 5 * time.Second
	startLeeway  = time.Minute
	// maxToken bounds the size of a token, in bytes.
	maxToken = 16 << 10
)

// Options configures a Verifier.
type Options struct {
	// SSOURL is the base URL of the console's SSO; required.
	SSOURL string
	// Issuers are the accepted issuers; empty: the issuer in the SSO's discovery document.
	Issuers []string
	// KeysURL is the URL of the SSO's keys; empty: the one in its discovery document. If both Issuers and KeysURL are
	// set, the document is not fetched.
	KeysURL string
	// Transport sends the requests for keys; nil: http.DefaultTransport.
	Transport http.RoundTripper
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Logger logs failures to get keys; nil: discarded.
	Logger *slog.Logger
}

// Verifier verifies console tokens. It is safe for concurrent use.
type Verifier struct {
	now  func() time.Time
	keys *keyCache
}

// New returns a Verifier, which fetches keys on first use. The caller must call Close.
func New(o Options) (*Verifier, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	k, err := newKeyCache(o)
	if err != nil {
		return nil, err
	}
	return &Verifier{now: o.Now, keys: k}, nil
}

// Fetch fetches the keys once and returns their number. Its error holds no URL. Verify needs no call of it.
func (v *Verifier) Fetch(ctx context.Context) (keys int, err error) {
	set, err := v.keys.fetch(ctx)
	if err != nil {
		return 0, err
	}
	return len(set.keys), nil
}

// Close cancels requests for keys.
func (v *Verifier) Close() { v.keys.close() }

// claims are the claims that Verify checks.
type claims struct {
	jwt.Claims
	UserID string `json:"userid"`
}

// Verify returns the principal of a token that the SSO has signed, named by its userid. It fails with UNAUTHENTICATED
// for any other token. It fails with UPSTREAM_UNAVAILABLE if there are no keys for verification.
func (v *Verifier) Verify(ctx context.Context, token string) (principal.Principal, error) {
	if len(token) > maxToken {
		return principal.Principal{}, invalidToken("it is too long")
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil || len(parsed.Headers) != 1 {
		return principal.Principal{}, invalidToken("it is not a JWT signed by RS256")
	}
	id := parsed.Headers[0].KeyID
	set, keys := v.keys.find(id)
	c, ok := verifiedClaims(parsed, keys)
	if !ok {
		// The SSO may have a new key, also under the same id.
		if set, keys, err = v.keys.refetch(ctx, id, keys); err != nil {
			return principal.Principal{}, err
		}
		c, ok = verifiedClaims(parsed, keys)
	}
	switch {
	case len(keys) == 0:
		return principal.Principal{}, invalidToken("the SSO has no key of that name")
	case !ok:
		return principal.Principal{}, invalidToken("its signature does not fit")
	}
	now := v.now()
	switch err := c.ValidateWithLeeway(jwt.Expected{AnyAudience: jwt.Audience{audience}, Time: now}, startLeeway); {
	case !slices.Contains(set.issuers, c.Issuer):
		return principal.Principal{}, invalidToken("it is of another issuer")
	case errors.Is(err, jwt.ErrInvalidAudience):
		return principal.Principal{}, invalidToken("it is not for the console")
	case errors.Is(err, jwt.ErrNotValidYet), errors.Is(err, jwt.ErrIssuedInTheFuture):
		return principal.Principal{}, invalidToken("it is not valid yet")
	case err != nil && !errors.Is(err, jwt.ErrExpired):
		return principal.Principal{}, invalidToken("its claims do not fit")
	case c.Expiry == nil:
		return principal.Principal{}, invalidToken("it does not say when it expires")
	case err != nil, now.Add(-expiryLeeway).After(c.Expiry.Time()):
		return principal.Principal{}, invalidToken("it has expired")
	case c.UserID == "":
		return principal.Principal{}, invalidToken("it names no user")
	}
	return principal.Verified(token, c.UserID, c.Expiry.Time().Add(expiryLeeway)), nil
}

// verifiedClaims returns the claims of a token that one of the keys has signed.
func verifiedClaims(token *jwt.JSONWebToken, keys []*rsa.PublicKey) (claims, bool) {
	for _, key := range keys {
		var c claims
		if token.Claims(key, &c) == nil {
			return c, true
		}
	}
	return claims{}, false
}

// invalidToken returns the error for an invalid token, without any part of the token.
func invalidToken(why string) error {
	return fault.New(fault.Unauthenticated, "the console token is not accepted: %s", why)
}
