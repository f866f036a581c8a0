package gateway

import (
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/consoleql/consoleql/internal/apikey"
	"github.com/consoleql/consoleql/internal/audit"
	"github.com/consoleql/consoleql/internal/compatibility"
	"github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/consoleclient/transport"
	"github.com/consoleql/consoleql/internal/edge/certificate"
	"github.com/consoleql/consoleql/internal/edge/querylimit"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/redisclient"
	"github.com/consoleql/consoleql/internal/scope"
	"github.com/consoleql/consoleql/internal/telemetry"
	"github.com/consoleql/consoleql/internal/tokencache"
)

// checkTimeout bounds the check of SSO, console and Redis together.
const checkTimeout = 2 * time.Minute

// Check checks the files of the settings, the SSO, the console and Redis. It changes nothing. Each service account logs
// in once.
func Check(ctx context.Context, s *Settings, r *compatibility.Report) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	c := check{s, r}
	authorities := c.files() //nolint:contextcheck // parsing documents belongs to no request
	accounts := c.accounts() //nolint:contextcheck // keys outlive the check
	client := &http.Client{
		Transport: transport.New(transport.Options{Idle: 1, Authorities: authorities}), Timeout: s.ConsoleTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	token := c.sso(ctx, client.Transport, accounts)
	c.keys(ctx, client.Transport, token)
	if _, err := consoleclient.ParseBaseURL(s.ConsoleURL); err == nil { // Validate reports an error
		def, _ := scope.New(s.CompanyID, s.DepartmentID) // the same
		r.Console(ctx, compatibility.Console{
			URL: s.ConsoleURL, Token: token, Scope: def, IDs: s.ConsoleIDs, Client: client, Cause: telemetry.ConnectionCause,
		})
	}
	c.redis(ctx)
}

// check adds findings about settings to a report.
type check struct {
	*Settings
	report *compatibility.Report
}

// files checks the files that are neither keys nor passwords. It returns the authorities of the settings.
func (c check) files() *transport.Authorities {
	var authorities *transport.Authorities
	if c.ConsoleCAFile != "" {
		if opened, err := transport.OpenAuthorities(c.ConsoleCAFile); err != nil {
			c.report.Fail("--console-ca-file", "%v", err)
		} else {
			authorities = opened
			c.report.OK("--console-ca-file", "it can be read")
		}
	}
	if c.TLSCertFile != "" && c.TLSKeyFile != "" {
		c.certificate()
	}
	if c.AuditLog != "log" && c.AuditLog != "off" && c.AuditLog != "" {
		c.auditLog()
	}
	c.documents()
	keyring, err := c.tokenKeyring()
	switch {
	case err != nil:
		c.report.Fail("--token-keys", "%v", err)
	case keyring != nil:
		c.report.OK("--token-keys", "they can be used")
	case c.RedisURL != "":
		c.report.Warn("--token-keys", "there are none, so that sessions and tokens are not shared through Redis")
	}
	return authorities
}

// auditLog checks the file of the audit log. It does not create the file, whose owner must be the user of the gateway.
func (c check) auditLog() {
	const part = "--audit-log"
	err := audit.CheckFile(c.AuditLog)
	switch {
	case err == nil:
		c.report.OK(part, "the file can be written")
	case errors.Is(err, fs.ErrNotExist):
		if dir, err := os.Stat(filepath.Dir(c.AuditLog)); err != nil || !dir.IsDir() {
			c.report.Fail(part, "the folder of %s does not exist", c.AuditLog)
			return
		}
		c.report.OK(part, "the gateway will create the file")
	default:
		c.report.Fail(part, "%v", err)
	}
}

// documents checks the manifests of trusted documents.
func (c check) documents() {
	const part = "--trusted-documents"
	served, err := c.loadSchema()
	if err != nil {
		c.report.Fail(part, "%v", err)
		return
	}
	list, tools, err := c.openDocuments(served, querylimit.NewParsedDocuments(served), nil, slog.New(slog.DiscardHandler))
	switch {
	case err != nil:
		c.report.Fail(part, "%v", err)
	case list == nil:
	case list.Refused() > 0:
		c.report.Warn(part, "%d documents are not trusted: the log of serve names them", list.Refused())
	default:
		c.report.OK(part, "%d documents", list.Len())
	}
	if names := tools.Missing(); err == nil && len(names) > 0 {
		c.report.Warn("--mcp-mutations", "no mutations that can be tools: %q", names)
	}
}

// certificate checks the certificate of the public listener.
func (c check) certificate() {
	const part = "--tls-cert-file"
	pair, err := certificate.Read(c.TLSCertFile, c.TLSKeyFile)
	if err != nil {
		c.report.Fail(part, "%v", err)
		return
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	now := time.Now()
	switch {
	case err != nil:
		c.report.Fail(part, "%v", err)
	case now.After(leaf.NotAfter):
		c.report.Fail(part, "it has expired on %s", leaf.NotAfter.Format(time.DateOnly))
	case now.Before(leaf.NotBefore):
		c.report.Fail(part, "it is valid from %s on", leaf.NotBefore.Format(time.DateOnly))
	case now.Add(expirySoon).After(leaf.NotAfter):
		c.report.Warn(part, "it expires on %s", leaf.NotAfter.Format(time.DateOnly))
	default:
		c.report.OK(part, "it is valid until %s", leaf.NotAfter.Format(time.DateOnly))
	}
}

// accounts checks passwords and API keys, and returns the service accounts.
func (c check) accounts() map[string]tokencache.Account {
	accounts := make(map[string]tokencache.Account)
	if c.APIKeysFile != "" {
		c.apiKeys(accounts)
	}
	password, err := c.password()
	switch {
	case err != nil:
		c.report.Fail("--password-file", "%v", err)
	case c.Username != "" && password != "":
		accounts[principal.DefaultAccount] = tokencache.Account{Username: c.Username, Password: password}
	}
	return accounts
}

func (c check) apiKeys(accounts map[string]tokencache.Account) {
	const part = "--api-keys-file"
	known, err := c.loadSchema()
	if err != nil {
		c.report.Fail(part, "%v", err)
		return
	}
	keys, err := apikey.Load(c.APIKeysFile, apikey.Options{Default: c.Username != "", Fields: rootFields(known), Types: objectTypes(known)})
	if err != nil {
		c.report.Fail(part, "%v", err)
		return
	}
	maps.Copy(accounts, keys.Accounts())
	c.report.OK(part, "%d keys, %d accounts", keys.Len(), len(keys.Accounts()))
	expired := keys.Expiring(time.Now())
	if len(expired) > 0 {
		c.report.Fail(part, "keys have expired: %q", expired)
	}
	soon := slices.DeleteFunc(keys.Expiring(time.Now().Add(expirySoon)), func(name string) bool { return slices.Contains(expired, name) })
	if len(soon) > 0 {
		c.report.Warn(part, "keys expire within a week: %q", soon)
	}
	if names := keys.FieldsWithoutTypes(); len(names) > 0 {
		c.report.Warn(part, "keys limit fields without types: %q", names)
	}
}

// sso lets each account log in once. It returns a token of the default account, or else of another one; empty: there is
// none.
func (c check) sso(ctx context.Context, by http.RoundTripper, accounts map[string]tokencache.Account) (token string) {
	const part = "SSO"
	if len(accounts) == 0 {
		c.report.Warn(part, "there is no service account, so that no login is checked")
		return ""
	}
	sso, err := consoleclient.NewSSO(consoleclient.Options{SSOURL: c.SSOURL, Transport: by, Timeout: c.ConsoleTimeout, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		c.report.Fail("--sso-url", "%v", err)
		return ""
	}
	defer sso.CloseIdleConnections()
	for _, name := range slices.Sorted(maps.Keys(accounts)) {
		granted, err := sso.Password(ctx, accounts[name].Username, accounts[name].Password)
		if err != nil {
			c.report.Fail(part, "the account %q cannot log in: %s", name, loginCause(err))
			if code := fault.CodeOf(err); code == fault.UpstreamUnavailable || code == fault.UpstreamTimeout {
				return token // it is the same for the other accounts
			}
			continue
		}
		c.report.OK(part, "the account %q logs in, and its token lasts %v", name, granted.ExpiresIn)
		if token == "" || name == principal.DefaultAccount {
			token = granted.Access
		}
	}
	return token
}

// keys fetches the keys that verify tokens, once, and verifies the token of a login; empty: there is none.
func (c check) keys(ctx context.Context, by http.RoundTripper, token string) {
	if c.VerifyTokens != "on" {
		return
	}
	v, err := c.openVerifier(by, slog.New(slog.DiscardHandler))
	if err != nil {
		c.report.Fail("--verify-tokens", "%v", err)
		return
	}
	defer v.Close()
	if n, err := v.Fetch(ctx); err != nil {
		c.report.Fail("--verify-tokens", "the keys of the SSO cannot be read: %s", telemetry.ConnectionCause(err))
	} else {
		c.report.OK("--verify-tokens", "%d keys of the SSO", n)
		if _, err := v.Verify(ctx, token); token != "" && err != nil {
			c.report.Warn("--verify-tokens", "the token of the login would be refused: %v", err)
		}
	}
}

// loginCause describes why a login failed, without data from the SSO.
func loginCause(err error) string {
	var answer *consoleclient.Error
	switch code := fault.CodeOf(err); {
	case code == fault.Unauthenticated:
		return "the SSO refuses its user name or password"
	case code == fault.Forbidden:
		return "it is locked"
	case errors.As(err, &answer):
		return callCause(consoleclient.Call{Operation: consoleclient.OpToken, Status: answer.Status, Err: err}, code)
	default:
		return telemetry.ConnectionCause(err)
	}
}

// redis checks Redis.
func (c check) redis(ctx context.Context) {
	if c.RedisURL == "" {
		return
	}
	dialer := redisclient.NewDialer(slog.New(slog.DiscardHandler))
	defer dialer.Close()
	client, err := redisclient.Dial(c.RedisURL, dialer)
	if err != nil {
		c.report.Fail("--redis-url", "%v", err)
		return
	}
	defer func() { _ = client.Close() }() // nothing was written
	c.report.Redis(ctx, client, redisclient.Cause)
}
