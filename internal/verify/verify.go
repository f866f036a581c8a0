// Package verify checks console tokens offline, against the keys that the
// console's SSO publishes: the SSO is an OpenID Connect provider, and its access
// tokens are JWTs signed by RS256 (RFC 7519, RFC 9068).
//
// Nothing that a token says is used before its signature has been verified. No
// other algorithm is accepted, so that neither an unsigned token nor one that is
// signed with a public key taken for a secret gets through (RFC 8725, section 3.1).
package verify

import (
	"context"
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
	// audience is whom the console's access tokens are for.
	audience = "apigateway"
	// expiryLeeway and startLeeway are how far the clocks of gateway and SSO may be
	// apart, at a token's end and at its beginning.
	expiryLeeway = 5 * time.Second
	startLeeway  = time.Minute
	// maxToken bounds a token, in bytes.
	maxToken = 16 << 10
)

// Options are what a Verifier is made of.
type Options struct {
	// SSOURL is the base URL of the console's SSO; required.
	SSOURL string
	// Issuers are the issuers whose tokens are accepted; empty: the one that the SSO's
	// discovery document names.
	Issuers []string
	// KeysURL is where the SSO publishes its keys; empty: where its discovery document says.
	// With both, that document is not asked for.
	KeysURL string
	// Transport carries the requests for keys; default http.DefaultTransport.
	Transport http.RoundTripper
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Logger is told of keys that cannot be had; default: discarded.
	Logger *slog.Logger
}

// Verifier verifies console tokens. It is safe for concurrent use.
type Verifier struct {
	now  func() time.Time
	keys *keys
}

// New returns a Verifier, which asks for keys when it first needs them. Close
// ends what it began.
func New(o Options) (*Verifier, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	k, err := newKeys(o)
	if err != nil {
		return nil, err
	}
	return &Verifier{now: o.Now, keys: k}, nil
}

// Close ends requests for keys that are under way.
func (v *Verifier) Close() { v.keys.close() }

// claims are those that are looked at.
type claims struct {
	jwt.Claims
	UserID string `json:"userid"`
}

// Verify makes a principal of a token that the SSO has signed, named by its
// userid. It fails with UNAUTHENTICATED for any other, and with
// UPSTREAM_UNAVAILABLE where there are no keys to verify it with.
func (v *Verifier) Verify(ctx context.Context, token string) (principal.Principal, error) {
	if len(token) > maxToken {
		return principal.Principal{}, refused("it is too long")
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil || len(parsed.Headers) != 1 {
		return principal.Principal{}, refused("it is not a JWT signed by RS256")
	}
	set, key, err := v.keys.find(ctx, parsed.Headers[0].KeyID)
	if err != nil {
		return principal.Principal{}, err
	}
	if key == nil {
		return principal.Principal{}, refused("the SSO has no key of that name")
	}
	var c claims
	err = parsed.Claims(key, &c)
	if err != nil {
		// The SSO may have a new key by the old name.
		if set, key, err = v.keys.again(ctx, parsed.Headers[0].KeyID, key); err != nil {
			return principal.Principal{}, err
		}
		if key != nil {
			err = parsed.Claims(key, &c)
		}
	}
	if key == nil || err != nil {
		return principal.Principal{}, refused("its signature does not fit")
	}
	now := v.now()
	switch err := c.ValidateWithLeeway(jwt.Expected{AnyAudience: jwt.Audience{audience}, Time: now}, startLeeway); {
	case !slices.Contains(set.issuers, c.Issuer):
		return principal.Principal{}, refused("it is of another issuer")
	case errors.Is(err, jwt.ErrInvalidAudience):
		return principal.Principal{}, refused("it is not for the console")
	case errors.Is(err, jwt.ErrNotValidYet), errors.Is(err, jwt.ErrIssuedInTheFuture):
		return principal.Principal{}, refused("it is not valid yet")
	case err != nil && !errors.Is(err, jwt.ErrExpired):
		return principal.Principal{}, refused("its claims do not fit")
	case c.Expiry == nil:
		return principal.Principal{}, refused("it does not say when it expires")
	case err != nil, now.Add(-expiryLeeway).After(c.Expiry.Time()):
		return principal.Principal{}, refused("it has expired")
	case c.UserID == "":
		return principal.Principal{}, refused("it names no user")
	}
	return principal.Verified(token, c.UserID, c.Expiry.Time().Add(expiryLeeway)), nil
}

// refused says what is wrong with a token without repeating any of it.
func refused(why string) error {
	return fault.New(fault.Unauthenticated, "the console token is not accepted: %s", why)
}
