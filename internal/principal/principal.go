// Package principal says who asks: whose token a console call is made with. It
// is one of the three values that the gateway carries in a context.
//
// It knows the principals of the GraphQL contract, section Scope and principal:
// a caller's own console token, a session that signIn began, and a service
// account behind an API key.
package principal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"strings"
	"time"
)

// Kind is the way in which a principal was recognised.
type Kind uint8

// The kinds. The zero Kind is a caller who showed nothing.
const (
	Anonymous   Kind = iota
	PassThrough      // showed a console token of its own
	Session          // showed the session token of a signIn
	Service          // acts as one of the gateway's service accounts
)

// String names the kind for logs.
func (k Kind) String() string {
	switch k {
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

// DefaultAccount is the name of the service account that the settings
// CONSOLEQL_USERNAME and CONSOLEQL_PASSWORD describe.
const DefaultAccount = "default"

// SessionPrefix begins every session token, so that none is ever taken for a
// console token and sent to the console.
const SessionPrefix = "cqs_"

// IsSessionToken says whether a bearer token is one that this gateway made.
func IsSessionToken(token string) bool { return strings.HasPrefix(token, SessionPrefix) }

// Principal is who asks. It is comparable, and never shows its token when it is
// printed or logged.
type Principal struct {
	kind    Kind
	name    string
	token   string
	account string
	expires time.Time
	limits  *Limits
}

// FromToken is the principal that showed a console token. It is named by the
// token's hash: what an unverified token claims about itself names nobody.
func FromToken(token string) Principal {
	return Principal{kind: PassThrough, name: "token:" + digest(token), token: token}
}

// Verified is the principal that showed a console token whose signature and
// claims have been verified: its userid names it, so that all tokens of one user
// are one principal. It ends when the token expires.
func Verified(token, userID string, expires time.Time) Principal {
	return Principal{kind: PassThrough, name: "user:" + userID, token: token, expires: expires.Round(0)}
}

// FromSession is the principal that showed a session token. Whether there is such
// a session is for the token cache to say. It is named by the token's hash, which
// is also all that is kept of it.
func FromSession(token string) Principal {
	return Principal{kind: Session, name: "session:" + digest(token)}
}

// ForAccount is the principal that acts as a service account, within limits (nil:
// all that the account may). Principals of one account whose limits differ have
// different names: what one of them was answered is not for the others.
func ForAccount(account string, limits *Limits) Principal {
	return Principal{kind: Service, name: "service:" + account + limits.suffix(), account: account, limits: limits}
}

// DefaultService is the principal that acts as the default service account.
func DefaultService() Principal { return ForAccount(DefaultAccount, nil) }

func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Kind is the way in which p was recognised.
func (p Principal) Kind() Kind { return p.kind }

// Name tells p from every other principal and gives away nothing secret; it is
// empty for a caller who showed nothing.
func (p Principal) Name() string { return p.name }

// Token is the console token that a PassThrough principal showed.
func (p Principal) Token() string { return p.token }

// Account is the name of the service account that a Service principal acts as.
func (p Principal) Account() string { return p.account }

// Limits are what the principal is held to beyond what the console lets it do;
// nil: nothing.
func (p Principal) Limits() *Limits { return p.limits }

// Expires is when the principal ceases to be accepted, where that is known: the
// end of a verified console token. What lives longer than a request, a
// subscription above all, must end by then. An unverified token's own word is not
// taken for it, and a session's end is found by asking for its token.
func (p Principal) Expires() (time.Time, bool) { return p.expires, !p.expires.IsZero() }

// String is the name.
func (p Principal) String() string { return p.name }

// GoString keeps the token out of %#v.
func (p Principal) GoString() string { return "principal.Principal{" + p.name + "}" }

// LogValue keeps the token out of logs.
func (p Principal) LogValue() slog.Value { return slog.StringValue(p.name) }

type contextKey struct{}

// NewContext returns ctx with the principal.
func NewContext(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}

// FromContext is the principal of ctx; without one, a caller who showed nothing.
func FromContext(ctx context.Context) Principal {
	p, _ := ctx.Value(contextKey{}).(Principal)
	return p
}
