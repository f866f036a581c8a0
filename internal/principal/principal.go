// Package principal identifies the caller of an operation, whose token authorizes the console calls. It carries the
// principal in a context.
//
// The kinds of principal (docs/identity.md) are a caller's own console token, a session from signIn, and a service
// account behind an API key.
package principal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"
)

// Credential is the credential that identified a principal.
type Credential uint8

// The kinds. The zero Kind is a caller without credentials.
const (
	Anonymous   Credential = iota
	PassThrough            // sent its own console token
	Session                // sent a session token from signIn
	Service                // acts as a service account of the gateway
)

// String returns the name of the kind for logs.
func (c Credential) String() string {
	switch c {
	case PassThrough:
		return "pass-through"
	case Session:
		return "session"
	case Service:
		return "service"
	default:
		return "anonymous"
	}
}

// DefaultAccount is the name of the service account that CONSOLEQL_USERNAME and CONSOLEQL_PASSWORD configure.
const DefaultAccount = "default"

// SessionPrefix begins every session token, so that the gateway never sends one to the console as a console token.
const SessionPrefix = "cqs_"

// IsSessionToken reports whether this gateway issued the bearer token.
func IsSessionToken(token string) bool { return strings.HasPrefix(token, SessionPrefix) }

// KeyPrefix begins every API key that the gateway generates. Like SessionPrefix, it keeps them from the console.
const KeyPrefix = "cqk_"

// IsBearerToken reports whether s is a b64token (RFC 6750, section 2.1). Only such a token is sent in a header.
func IsBearerToken(s string) bool {
	if s == "" {
		return false
	}
	// Tokens are random, so that a branch for each character would be predicted badly.
	const (
		low  = 1<<'+' | 1<<'-' | 1<<'.' | 1<<'/' | (1<<10-1)<<'0' | 1<<'=' // the characters below 64, one bit each
		high = (1<<26-1)<<('A'-64) | 1<<('_'-64) | (1<<26-1)<<('a'-64) | 1<<('~'-64)
	)
	in, ascii := uint64(1), byte(0)
	for _, c := range []byte(s) {
		in &= [2]uint64{low, high}[c>>6&1] >> (c & 63)
		ascii |= c
	}
	return in == 1 && ascii < utf8.RuneSelf
}

// Principal is the caller of an operation. It is comparable, and printing or logging it never reveals its token.
type Principal struct {
	credential Credential
	name       string
	token      string
	account    string
	key        string // name of the API key
	expires    time.Time
	revoked    context.Context //nolint:containedctx // its end is that of the API key
	limits     *Limits
}

// FromToken returns the principal of a console token. Its name is the token's hash, because the claims of an
// unverified token prove nothing.
func FromToken(token string) Principal {
	return Principal{credential: PassThrough, name: "token:" + digest(token), token: token}
}

// Verified returns the principal of a console token with a verified signature and claims. Its name is the userid, so
// that all tokens of one user share a principal. It expires with the token.
func Verified(token, userID string, expires time.Time) Principal {
	return Principal{credential: PassThrough, name: userPrefix + userID, token: token, expires: expires.Round(0)}
}

// FromSession returns the principal of a session token. Its name is the token's hash, and the token itself is not
// stored. The token cache decides whether the session exists.
func FromSession(token string) Principal {
	return Principal{credential: Session, name: "session:" + digest(token)}
}

// ForAccount returns the principal of a service account with limits; nil: no limits. Principals of one account with
// different scopes have different names, because their answers differ.
func ForAccount(account string, limits *Limits) Principal {
	return Principal{credential: Service, name: "service:" + account + limits.suffix(), account: account, limits: limits}
}

// WithoutLimits returns p without the limits of its API key. Its name stays the same when the scopes of the key are edited.
func (p Principal) WithoutLimits() Principal {
	if p.limits != nil {
		p.name, p.limits = ForAccount(p.account, nil).name, nil
	}
	return p
}

// DefaultService returns the principal of the default service account.
func DefaultService() Principal { return ForAccount(DefaultAccount, nil) }

// WithKey returns p as the caller that shows the API key of that name.
func (p Principal) WithKey(name string) Principal {
	p.key = name
	return p
}

// WithEnd returns p with the time from which it is not valid; zero: there is none. The context is done when p ends
// earlier; nil: it does not.
func (p Principal) WithEnd(expires time.Time, revoked context.Context) Principal { //nolint:revive // it is a value, not the context of the call
	p.expires, p.revoked = expires.Round(0), revoked
	return p
}

func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Credential returns the credential that identified p.
func (p Principal) Credential() Credential { return p.credential }

// Name returns the unique name of p, which holds no secret. It is empty for a caller without credentials.
func (p Principal) Name() string { return p.name }

// Token returns the console token of a PassThrough principal.
func (p Principal) Token() string { return p.token }

// Account returns the service account of a Service principal.
func (p Principal) Account() string { return p.account }

// Key returns the name of the API key that the caller shows; empty: none.
func (p Principal) Key() string { return p.key }

// User returns the userid of a verified console token; empty for other principals, such as API keys that expire.
func (p Principal) User() string {
	if p.credential != PassThrough || p.expires.IsZero() {
		return ""
	}
	return strings.TrimPrefix(p.name, userPrefix)
}

// Proven reports whether the gateway itself has verified the credentials of p. A session token is not, since only the store
// knows whether the session exists.
func (p Principal) Proven() bool {
	return p.credential == Service || p.User() != ""
}

// userPrefix begins the name of the user of a verified token.
const userPrefix = "user:"

// AnonymousCaller is the caller of all requests without credentials.
const AnonymousCaller = "anonymous"

// Caller returns the caller that accounts for requests: an API key's name, a session, a
// verified user, or the hash of a console token.
func (p Principal) Caller() string {
	switch {
	case p.key != "":
		return "key:" + p.key
	case p.credential == Anonymous || p.credential == Service && p.account == DefaultAccount:
		return AnonymousCaller
	default:
		return p.name
	}
}

// Limits returns the restrictions of the principal; nil: none.
func (p Principal) Limits() *Limits { return p.limits }

// Expires returns the expiry of a verified console token or of an API key, and false for other principals. Subscriptions
// must end by then. An unverified token's expiry is not trusted, and a session's end shows when its token is requested.
func (p Principal) Expires() (time.Time, bool) { return p.expires, !p.expires.IsZero() }

// Revoked returns a context that is done when the API key is removed or changed; nil: never. Subscriptions must end
// then.
func (p Principal) Revoked() context.Context { return p.revoked }

// String returns the name.
func (p Principal) String() string { return p.name }

// GoString hides the token from %#v.
func (p Principal) GoString() string { return "principal.Principal{" + p.name + "}" }

// LogValue hides the token from logs.
func (p Principal) LogValue() slog.Value { return slog.StringValue(p.name) }

type contextKey struct{}

// NewContext returns a copy of ctx that carries the principal.
func NewContext(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}

// FromContext returns the principal of ctx, or a caller without credentials.
func FromContext(ctx context.Context) Principal {
	p, _ := ctx.Value(contextKey{}).(Principal)
	return p
}

// Caller returns the caller of ctx, which NewContext sets with the principal; see Principal.Caller.
func Caller(ctx context.Context) string { return FromContext(ctx).Caller() }
