package consoleclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/consoleql/consoleql/internal/consoleclient/admission"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
)

// Token is a token response of the SSO (document, section Authentication). No format or log verb prints its secrets.
type Token struct {
	// Access is the bearer token for calls of the API gateway.
	Access string
	// Refresh obtains the next token and can be used once.
	Refresh string
	// Type is "Bearer".
	Type string
	// Scope is the OAuth scope of the token.
	Scope string
	// ExpiresIn is the lifetime of the access token from its issue; 0 if the SSO does not report it.
	ExpiresIn time.Duration
}

// String hides the tokens.
func (t Token) String() string { return fmt.Sprintf("Token(hidden, expires in %s)", t.ExpiresIn) }

// GoString hides the tokens.
func (t Token) GoString() string { return t.String() }

// Format hides the tokens whatever the verb.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue hides the tokens.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// SSO obtains tokens (document, section Authentication). It is safe for concurrent use.
type SSO struct {
	http     httpClient
	endpoint *url.URL
}

// NewSSO creates a client of the SSO. It ignores the options of the API gateway.
func NewSSO(o Options) (*SSO, error) {
	base, err := ParseBaseURL(o.SSOURL)
	if err != nil {
		return nil, fmt.Errorf("consoleclient: Options.SSOURL %w", err)
	}
	w, err := newHTTPClient(o)
	if err != nil {
		return nil, err
	}
	return &SSO{http: w, endpoint: base.JoinPath("/connect/token")}, nil
}

// CloseIdleConnections closes connections that no call uses.
func (s *SSO) CloseIdleConnections() { s.http.http.CloseIdleConnections() }

// The operations as the document writes them.
const (
	OpToken = "POST /connect/token"
	// clientID is fixed by the document for both grants.
	clientID = "thirdpartyservice"
)

// Password obtains a token with a user's name and password (document, section Authentication: get token). For a wrong
// password it fails with an *Error with code fault.Unauthenticated, for a locked account with code fault.Forbidden. An
// error with any other code does not concern the password.
func (s *SSO) Password(ctx context.Context, username, password string) (Token, error) {
	return s.grant(ctx, url.Values{
		"client_id": {clientID}, "grant_type": {"password"}, "username": {username}, "password": {password},
	})
}

// Refresh obtains the next token and consumes the refresh token (document, section Authentication: refresh token).
// For a consumed token it fails with an *Error with code fault.Unauthenticated, for a locked account with code
// fault.Forbidden. After any other error it is unknown whether the refresh token was consumed.
func (s *SSO) Refresh(ctx context.Context, refreshToken string) (Token, error) {
	return s.grant(ctx, url.Values{
		"client_id": {clientID}, "grant_type": {"refresh_token"}, "refresh_token": {refreshToken},
	})
}

func (s *SSO) grant(ctx context.Context, form url.Values) (Token, error) {
	// Names match without regard to case and underscores: the document writes Access_token, the wire access_token.
	var granted struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		TokenType    string `json:"token_type"`
		Scope        string `json:"scope"`
		ExpiresIn    Int    `json:"expires_in"`
	}
	encoded := form.Encode()
	err := s.http.exchange(ctx, exchange{operation: OpToken, class: admission.SSO}, func(ctx context.Context) (*http.Request, error) {
		req, err := newRequest(ctx, http.MethodPost, s.endpoint, strings.NewReader(encoded), int64(len(encoded)))
		if err != nil {
			return nil, err
		}
		req.Header.Set(headerContentType, "application/x-www-form-urlencoded")
		req.Header.Set("Accept", "application/json")
		req.Header.Set("User-Agent", s.http.userAgent)
		return req, nil
	}, func(reader *responseReader) error {
		raw, err := reader.value()
		if err != nil {
			return err
		}
		if err := json.Unmarshal(raw, &granted, decoding); err != nil {
			// The value may be a token, and the decoder's error could quote it.
			return errors.New("not a token answer")
		}
		if !principal.IsBearerToken(granted.AccessToken) {
			return errNoEntity // not a token (an object, say), so it cannot go into a header
		}
		return nil
	})
	if err != nil {
		return Token{}, refusal(err, form.Has("password"))
	}
	return Token{
		Access:    granted.AccessToken,
		Refresh:   granted.RefreshToken,
		Type:      granted.TokenType,
		Scope:     granted.Scope,
		ExpiresIn: time.Duration(max(granted.ExpiresIn, 0)) * time.Second,
	}, nil
}

// isLockMessage reports whether a description contains the word lock on its own, and not as in "clock skew".
func isLockMessage(description string) bool {
	description = strings.ToLower(description)
	for word := range strings.FieldsFuncSeq(description, func(c rune) bool { return c < 'a' || c > 'z' }) {
		for _, prefix := range []string{"is", "user", "account"} {
			word = strings.TrimPrefix(word, prefix)
		}
		switch word {
		case "lock", "locked", "lockout", "lockedout":
			return true
		}
	}
	return strings.Contains(description, "锁")
}

// lockCode matches an error code (RFC 6749, section 5.2), as opposed to a sentence.
var lockCode = regexp.MustCompile(`^[a-z0-9_.-]+$`)

// isLocked reports whether the SSO's own JSON says that the account is locked (锁定). A code about a lock says so, or a
// description beside invalid_grant. Status 423 says so only of a password, because it need not concern a refresh token.
func (e *Error) isLocked(password bool) bool {
	if password && e.Status == http.StatusLocked || e.oauthCode == invalidGrant && isLockMessage(e.oauth) {
		return true
	}
	return e.Status != http.StatusTooManyRequests && lockCode.MatchString(e.oauthCode) && isLockMessage(e.oauthCode)
}

// refusal converts an unsuccessful response to its meaning for the sign-in with a password or a refresh token. Only the
// SSO's own JSON refuses: by the error invalid_grant (RFC 6749, section 5.2), or by a locked account. After every other
// error the outcome of the grant is unknown. The SSO's text is never shown, because it may repeat the request.
func refusal(err error, password bool) error {
	var e *Error
	if !errors.As(err, &e) || e.Status < http.StatusMultipleChoices {
		return err
	}
	refused := &Error{Operation: e.Operation, Status: e.Status, RetryAfter: e.RetryAfter, FromIntermediary: e.FromIntermediary, Empty: e.Empty}
	own := !e.FromIntermediary && !e.Empty && e.Status >= 400 && e.Status < 500
	switch {
	case own && e.isLocked(password):
		refused.Code, refused.Title, refused.Detail = fault.Forbidden, "account locked", "the console says that the account is locked"
	case own && e.oauthCode == invalidGrant:
		refused.Code, refused.Title = fault.Unauthenticated, "sign-in refused"
		refused.Detail = "the console did not accept the user name and password, or the refresh token"
	case e.Code == fault.RateLimited, e.Code == fault.UpstreamTimeout, e.Code == fault.UpstreamUnavailable:
		refused.Code, refused.Title = e.Code, http.StatusText(e.Status)
	default:
		refused.Code, refused.Title = fault.UpstreamInvalidResponse, "no answer to the grant"
		refused.Detail = "the refusal does not come from the console's SSO, or it concerns the gateway and not the user"
	}
	return refused
}

// invalidGrant is the error code for a rejected password or refresh token (RFC 6749, section 5.2).
const invalidGrant = "invalid_grant"
