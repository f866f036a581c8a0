package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/internal/apikey"
	"github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/edge"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
	"github.com/consoleql/consoleql/internal/textfile"
	"github.com/consoleql/consoleql/internal/tokencache"
	"github.com/consoleql/consoleql/internal/verify"
)

// openTokens makes what knows who asks: the API keys, the verifier of console
// tokens, and the cache of the console tokens that principals ask with.
func (g *gateway) openTokens(carrier http.RoundTripper) error {
	s := g.settings
	accounts, err := g.openAccounts()
	if err != nil {
		return err
	}
	if s.VerifyTokens == "on" {
		if g.verifier, err = verify.New(verify.Options{
			SSOURL: s.SSOURL, Issuers: s.TokenIssuers, KeysURL: s.JWKSURL, Transport: carrier, Logger: g.log,
		}); err != nil {
			return fmt.Errorf("--sso-url, --jwks-url: %w", err)
		}
	}
	g.realm = hash(s.SSOURL) + "\n"
	g.nameUsers(accounts)
	ring, err := s.tokenRing()
	if err != nil {
		return err
	}
	options := tokencache.Options{
		Grants:          grants{g.sso},
		Accounts:        accounts,
		Realm:           s.SSOURL,
		SessionLifetime: s.SessionLifetime,
		Logger:          g.log,
	}
	if g.cache != nil {
		options.Watch = g.watchSession
	}
	if g.redis != nil && ring != nil { // nothing readable is ever stored
		options.Store = tokencache.NewRedis(tokencache.RedisOptions{Client: g.redis, Keyring: ring, Logger: g.log})
		options.MAC = ring.MAC
	}
	g.Tokens = tokencache.New(options)
	g.files = textfile.NewWatcher(g.log, g.Sources(ring)...)
	return nil
}

// Sources are the files of keys and passwords, with what reads them again.
func (g *gateway) Sources(ring *tokencache.Keyring) (all []textfile.Source) {
	s := g.settings
	one := func(path string) func() []string { return func() []string { return []string{path} } }
	if s.APIKeysFile != "" {
		all = append(all, textfile.Source{Setting: "--api-keys-file", Paths: g.keys.Paths, Load: func() error {
			if err := g.keys.Reload(); err != nil {
				return err
			}
			g.warnOfFieldsAlone()
			return g.reloadAccounts()
		}})
	}
	if s.Username != "" && s.PasswordFile != "" {
		all = append(all, textfile.Source{Setting: "--password-file", Paths: one(s.PasswordFile), Load: g.reloadAccounts})
	}
	if s.TokenKeysFile != "" {
		all = append(all, textfile.Source{Setting: "--token-keys-file", Paths: one(s.TokenKeysFile), Load: func() error {
			next, err := s.tokenRing()
			if err != nil {
				return err
			}
			ring.Replace(next)
			return nil
		}})
	}
	return all
}

// reloadAccounts gives the token cache the accounts that are configured now.
func (g *gateway) reloadAccounts() error {
	accounts, err := g.accounts()
	if err != nil {
		return err
	}
	g.nameUsers(accounts)
	g.Tokens.SetAccounts(accounts)
	return nil
}

// nameUsers notes the users of accounts, beside those of accounts that are gone.
func (g *gateway) nameUsers(accounts map[string]tokencache.Account) {
	users := make(map[string]string)
	if before := g.usernames.Load(); before != nil {
		maps.Copy(users, *before)
	}
	for name, a := range accounts {
		users[name] = a.Username
	}
	g.usernames.Store(&users)
}

// watchSession tells of the end of a session: what a sign-out makes the replicas forget
// tells them of that, too.
func (g *gateway) watchSession(name string) func() tokencache.Revocation {
	since := g.cache.Watch(g.realm + name)
	return func() tokencache.Revocation {
		switch {
		case g.cache.Ended(since):
			return tokencache.Revoked
		case g.cache.Current(since):
			return tokencache.NotRevoked
		default:
			return tokencache.RevocationUnknown
		}
	}
}

// openAccounts are the service accounts, the default one and those behind API keys.
func (g *gateway) openAccounts() (map[string]tokencache.Account, error) {
	s := g.settings
	if s.APIKeysFile != "" {
		var err error
		if g.keys, err = apikey.Open(s.APIKeysFile, apikey.Options{Default: s.Username != "", Fields: rootFields(g.schema), Types: objectTypes(g.schema)}); err != nil {
			return nil, fmt.Errorf("--api-keys-file: %w", err)
		}
	}
	return g.accounts()
}

// accounts are the service accounts as they were last read, with the default one's password
// as it is now.
func (g *gateway) accounts() (map[string]tokencache.Account, error) {
	s, accounts := g.settings, make(map[string]tokencache.Account)
	if g.keys != nil {
		maps.Copy(accounts, g.keys.Accounts())
	}
	password, err := s.password()
	if err != nil {
		return nil, err
	}
	if s.Username != "" {
		accounts[principal.DefaultAccount] = tokencache.Account{Username: s.Username, Password: password}
	}
	return accounts, nil
}

// rootFields are the fields that an API key can be held to.
func rootFields(schema *ast.Schema) []string {
	var names []string
	for _, root := range []string{"Query", "Mutation", "Subscription"} {
		if def := schema.Types[root]; def != nil {
			for _, f := range def.Fields {
				names = append(names, f.Name)
			}
		}
	}
	return names
}

// objectTypes are the types that an API key can be held to.
func objectTypes(schema *ast.Schema) []string {
	var names []string
	for name, def := range schema.Types {
		if def.Kind == ast.Object && !def.BuiltIn && def != schema.Query && def != schema.Mutation && def != schema.Subscription {
			names = append(names, name)
		}
	}
	return names
}

// tokenRing is the ring of keys that encrypt tokens; nil where there are none.
func (i Identity) tokenRing() (*tokencache.Keyring, error) {
	text, setting := i.TokenKeys, "--token-keys"
	if i.TokenKeysFile != "" {
		var err error
		if text, err = textfile.Read(i.TokenKeysFile); err != nil {
			return nil, fmt.Errorf("--token-keys-file: %w", err)
		}
		setting = "--token-keys-file"
	} else if text == "" {
		return nil, nil //nolint:nilnil // no ring
	}
	ring, err := tokencache.NewKeyring(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	return ring, nil
}

// identify tells the edge who is who.
func (g *gateway) identify(o *edge.Options) {
	// Not assigned where they are nil: an interface that holds nil is not nil.
	if g.keys != nil {
		o.Keys = g.keys
	}
	if g.verifier != nil {
		o.Verifier = g.verifier
	}
}

// logIdentity logs what an operator should know of who can ask.
func (g *gateway) logIdentity() {
	if g.keys != nil {
		g.log.Info("API keys", "keys", g.keys.Len(), "accounts", len(g.keys.Accounts()))
		g.warnOfFieldsAlone()
	}
	if g.redis != nil && g.settings.TokenKeys == "" && g.settings.TokenKeysFile == "" {
		g.log.Warn("there is no CONSOLEQL_TOKEN_KEYS, so that console tokens are not kept in Redis: " +
			"sessions are known to this process only and end with it, and each replica logs in for itself")
	}
}

// warnOfFieldsAlone logs which API keys limit root fields, but not what these lead to.
func (g *gateway) warnOfFieldsAlone() {
	if names := g.keys.FieldsAlone(); len(names) > 0 {
		g.log.Warn("API keys limit fields without types: relations and payloads of these fields lead to entities of any type; "+
			"name the entity types in types, which a later release requires", "keys", names)
	}
}

// sharedName names a principal beyond this gateway: another one that shares its Redis
// may know another account by the same name, or another SSO's user by the same id.
func (g *gateway) sharedName(p principal.Principal) string {
	name := p.Name()
	if name == "" {
		return ""
	}
	if p.Kind() == principal.Service {
		return g.realm + name + "\n" + (*g.usernames.Load())[p.Account()]
	}
	return g.realm + name
}

// permit holds the holders of API keys to the scopes of their keys.
func permit(ctx context.Context, sc scope.Scope) error {
	return principal.FromContext(ctx).Limits().CheckScope(sc)
}

// grants lets the token cache use the SSO, in its own terms.
type grants struct{ sso *consoleclient.SSO }

// unknownLifetime is taken for the life of a token of which the SSO does not tell it.
const unknownLifetime = 5 * time.Minute

// Password implements tokencache.Grants.
func (g grants) Password(ctx context.Context, username, password string) (tokencache.Token, error) {
	asked := time.Now()
	t, err := g.sso.Password(ctx, username, password)
	return granted(asked, t, err)
}

// Refresh implements tokencache.Grants.
func (g grants) Refresh(ctx context.Context, token string) (tokencache.Token, error) {
	asked := time.Now()
	t, err := g.sso.Refresh(ctx, token)
	return granted(asked, t, err)
}

// granted is a token as of when it was asked for: counted from the answer, a slow
// one would be taken for younger than it is.
func granted(asked time.Time, t consoleclient.Token, err error) (tokencache.Token, error) {
	if err != nil {
		return tokencache.Token{}, grantError(err)
	}
	life := t.ExpiresIn
	if life <= 0 {
		life = unknownLifetime
	}
	return tokencache.Token{Access: t.Access, Refresh: t.Refresh, Expires: asked.Add(life)}, nil
}

// grantError says what a failed grant means: only the SSO's own refusal ends anything.
func grantError(err error) error {
	g := &tokencache.GrantError{Reason: tokencache.Unavailable, Err: err}
	var answer *consoleclient.Error
	if errors.As(err, &answer) {
		g.RetryAfter = answer.RetryAfter
	}
	switch fault.CodeOf(err) {
	case fault.Unauthenticated:
		g.Reason = tokencache.Refused
	case fault.Forbidden:
		g.Reason = tokencache.Locked
	default:
	}
	return g
}
