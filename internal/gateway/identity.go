package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// openTokens creates the components that authenticate: the API keys, the verifier of console tokens, and the token
// cache.
func (g *Gateway) openTokens(transport http.RoundTripper) error {
	s := g.settings
	accounts, err := g.openAccounts()
	if err != nil {
		return err
	}
	if s.VerifyTokens == "on" {
		if g.verifier, err = s.openVerifier(transport, g.log); err != nil {
			return err
		}
	}
	g.realm = hash(s.SSOURL) + "\n"
	g.recordUsernames(accounts)
	if g.keyring, err = s.tokenKeyring(); err != nil {
		return err
	}
	keyring := g.keyring
	options := tokencache.Options{
		Grants:          grants{g.sso},
		Accounts:        accounts,
		Realm:           s.SSOURL,
		SessionLifetime: s.SessionLifetime,
		ObserveLogin:    g.observeLogin,
		Logger:          g.log,
	}
	if g.cache != nil {
		options.Watch = g.watchSession
		options.SignedOut = func(ctx context.Context, name string) { _ = g.cache.Forget(ctx, g.realm+name) }
	}
	if g.redis != nil && keyring != nil { // tokens are stored only encrypted
		options.Store = tokencache.NewRedis(tokencache.RedisOptions{Client: g.redis, Keyring: keyring, Logger: g.log})
		options.MAC = keyring.MAC
	}
	g.Tokens = tokencache.New(options)
	g.files = textfile.NewWatcher(g.log, g.sources(keyring)...)
	return nil
}

// openVerifier creates the verifier of console tokens.
func (s *Settings) openVerifier(transport http.RoundTripper, log *slog.Logger) (*verify.Verifier, error) {
	v, err := verify.New(verify.Options{SSOURL: s.SSOURL, Issuers: s.TokenIssuers, KeysURL: s.JWKSURL, Transport: transport, Logger: log})
	return v, withFlag("--sso-url, --jwks-url:", err)
}

// sources returns the files of keys, passwords, the certificate and trusted documents with their reload functions.
func (g *Gateway) sources(keyring *tokencache.Keyring) (all []textfile.Source) {
	s := g.settings
	one := func(path string) func() []string { return func() []string { return []string{path} } }
	if g.certificate != nil {
		all = append(all, textfile.Source{Setting: "--tls-cert-file, --tls-key-file", Paths: g.certificate.Paths, Load: g.certificate.Load})
	}
	if g.authorities != nil {
		all = append(all, textfile.Source{Setting: "--console-ca-file", Paths: g.authorities.Paths, Load: g.authorities.Reload})
	}
	if g.documents != nil {
		all = append(all, textfile.Source{Setting: "--trusted-documents", Paths: g.documents.Paths, Load: g.documents.Reload})
	}
	if s.APIKeysFile != "" {
		all = append(all, textfile.Source{Setting: "--api-keys-file", Paths: g.keys.Paths, Load: func() error {
			err := g.keys.Reload()
			if unread, ok := errors.AsType[*apikey.PasswordError](err); ok { // the keys are in force
				g.log.Error("a password cannot be read; its account keeps the present one", "setting", "--api-keys-file", "error", unread)
				err = nil
			}
			if err == nil {
				g.warnOfKeys()
			}
			_ = g.reloadAccounts() // an error of --password-file is reported by its own source
			return err
		}})
	}
	if s.Username != "" && s.PasswordFile != "" {
		all = append(all, textfile.Source{Setting: "--password-file", Paths: one(s.PasswordFile), Load: g.reloadAccounts})
	}
	if s.TokenKeysFile != "" {
		all = append(all, textfile.Source{Setting: "--token-keys-file", Paths: one(s.TokenKeysFile), Load: func() error {
			next, err := s.tokenKeyring()
			if err != nil {
				return err
			}
			keyring.Replace(next)
			return nil
		}})
	}
	return all
}

// reloadAccounts passes the currently configured accounts to the token cache. If the default account's password cannot be
// read, it keeps its present one.
func (g *Gateway) reloadAccounts() error {
	accounts, err := g.accounts()
	g.recordUsernames(accounts)
	g.Tokens.SetAccounts(accounts)
	return err
}

// recordUsernames records the accounts' users and keeps those of removed accounts.
func (g *Gateway) recordUsernames(accounts map[string]tokencache.Account) {
	users := make(map[string]string)
	if before := g.usernames.Load(); before != nil {
		maps.Copy(users, *before)
	}
	for name, a := range accounts {
		users[name] = a.Username
	}
	g.usernames.Store(&users)
}

// watchSession returns a function that reports whether the session was revoked. It relies on the invalidation that a
// sign-out publishes to all replicas.
func (g *Gateway) watchSession(name string) func() tokencache.Revocation {
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

// openAccounts opens the key file and returns the service accounts.
func (g *Gateway) openAccounts() (map[string]tokencache.Account, error) {
	s := g.settings
	if s.APIKeysFile != "" {
		var err error
		if g.keys, err = apikey.Open(s.APIKeysFile, apikey.Options{Default: s.Username != "", Fields: rootFields(g.schema), Types: objectTypes(g.schema)}); err != nil {
			return nil, fmt.Errorf("--api-keys-file: %w", err)
		}
	}
	return g.accounts()
}

// accounts returns the service accounts of the loaded key file, and the default account with its current password. If the
// error is not nil, it is the previous password.
func (g *Gateway) accounts() (map[string]tokencache.Account, error) {
	s, accounts := g.settings, make(map[string]tokencache.Account)
	if g.keys != nil {
		maps.Copy(accounts, g.keys.Accounts())
	}
	password, err := s.password()
	if err == nil {
		g.password = password
	}
	if s.Username != "" {
		accounts[principal.DefaultAccount] = tokencache.Account{Username: s.Username, Password: g.password}
	}
	return accounts, err
}

// rootFields returns the fields that an API key can be limited to.
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

// objectTypes returns the types that an API key can be limited to.
func objectTypes(schema *ast.Schema) []string {
	var names []string
	for name, def := range schema.Types {
		if def.Kind == ast.Object && !def.BuiltIn && def != schema.Query && def != schema.Mutation && def != schema.Subscription {
			names = append(names, name)
		}
	}
	return names
}

// tokenKeyring returns the keyring that encrypts tokens; nil if there are no keys.
func (i Identity) tokenKeyring() (*tokencache.Keyring, error) {
	text, setting := i.TokenKeys, "--token-keys"
	if i.TokenKeysFile != "" {
		var err error
		if text, err = textfile.Read(i.TokenKeysFile); err != nil {
			return nil, fmt.Errorf("--token-keys-file: %w", err)
		}
		setting = "--token-keys-file"
	} else if text == "" {
		return nil, nil //nolint:nilnil // no keyring
	}
	keyring, err := tokencache.NewKeyring(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	return keyring, nil
}

// setIdentity adds the API keys and the verifier to the edge's options.
func (g *Gateway) setIdentity(o *edge.Options) {
	// Nil pointers are not assigned, because an interface that holds one is not nil.
	if g.keys != nil {
		o.Keys = g.keys
	}
	if g.verifier != nil {
		o.Verifier = g.verifier
	}
}

// logIdentity logs the settings that decide who may use the gateway.
func (g *Gateway) logIdentity() {
	if g.keys != nil {
		g.log.Info("API keys", "keys", g.keys.Len(), "accounts", len(g.keys.Accounts()))
		g.warnOfKeys()
	}
	if g.redis != nil && g.settings.TokenKeys == "" && g.settings.TokenKeysFile == "" {
		g.log.Warn("there is no CONSOLEQL_TOKEN_KEYS, so that console tokens are not kept in Redis: " +
			"sessions are known to this process only and end with it, and each replica logs in for itself")
	}
}

// expirySoon is how long before its end an API key is in a warning.
const expirySoon = 7 * 24 * time.Hour

// warnOfKeys warns about API keys that limit root fields without limiting types, and about those that end soon.
func (g *Gateway) warnOfKeys() {
	if names := g.keys.Expiring(time.Now().Add(expirySoon)); len(names) > 0 {
		g.log.Warn("API keys have expired or expire within a week", "keys", names)
	}
	if names := g.keys.FieldsWithoutTypes(); len(names) > 0 {
		g.log.Warn("API keys limit fields without types: relations and payloads of these fields lead to entities of any type; "+
			"name the entity types in types, which a later release requires", "keys", names)
	}
}

// sharedName returns a principal's name that is unique among the gateways that share a Redis. Another gateway may use
// the same name for another account, or the same id for a user of another SSO.
func (g *Gateway) sharedName(p principal.Principal) string {
	name := p.Name()
	if name == "" {
		return ""
	}
	if p.Credential() == principal.Service {
		return g.realm + name + "\n" + (*g.usernames.Load())[p.Account()]
	}
	return g.realm + name
}

// permitScope limits holders of API keys to the scopes of their keys.
func permitScope(ctx context.Context, sc scope.Scope) error {
	return principal.FromContext(ctx).Limits().CheckScope(sc)
}

// grants adapts the SSO to the token cache.
type grants struct{ sso *consoleclient.SSO }

// unknownLifetime is the assumed lifetime of a token if the SSO does not report one.
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

// granted converts a token. Its lifetime counts from the request: counted from the response, a slow one would last
// too long.
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

// grantError converts the error of a grant. Only the SSO's own refusal ends a session,
// and only the SSO asks for a long pause.
func grantError(err error) error {
	g := &tokencache.GrantError{Reason: tokencache.Unavailable, Err: err}
	if answer, ok := errors.AsType[*consoleclient.Error](err); ok {
		g.RetryAfter = answer.RetryAfter
		if answer.FromIntermediary {
			g.RetryAfter = min(g.RetryAfter, consoleclient.MaxProxyRetryAfter)
		}
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
