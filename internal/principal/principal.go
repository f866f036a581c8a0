// Package principal says who asks: whose token a console call is made with. It
// is one of the three values that the gateway carries in a context.
package principal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
)

// Kind is the way in which a principal was recognised.
type Kind uint8

// The kinds. The zero Kind is a caller who showed nothing.
const (
	Anonymous   Kind = iota
	PassThrough      // showed a console token of its own
	Service          // acts as the gateway's default service account
)

// String names the kind for logs.
func (k Kind) String() string {
	switch k {
	case PassThrough:
		return "pass-through"
	case Service:
		return "service"
	default:
		return "anonymous"
	}
}

// Principal is who asks. It never shows its token when it is printed or logged.
type Principal struct {
	kind  Kind
	name  string
	token string
}

// FromToken is the principal that showed a console token. It is named by the
// token's hash: what an unverified token claims about itself names nobody.
func FromToken(token string) Principal {
	sum := sha256.Sum256([]byte(token))
	return Principal{kind: PassThrough, name: "token:" + hex.EncodeToString(sum[:16]), token: token}
}

// DefaultService is the principal that acts as the default service account.
func DefaultService() Principal { return Principal{kind: Service, name: "service:default"} }

// Kind is the way in which p was recognised.
func (p Principal) Kind() Kind { return p.kind }

// Name tells p from every other principal and gives away nothing secret; it is
// empty for a caller who showed nothing.
func (p Principal) Name() string { return p.name }

// Token is the console token that a PassThrough principal showed.
func (p Principal) Token() string { return p.token }

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
