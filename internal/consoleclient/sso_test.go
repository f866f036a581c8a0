package consoleclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/fault"
)

func newTestSSO(t *testing.T, c *console) *SSO {
	t.Helper()
	s, err := NewSSO(Options{SSOURL: c.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.CloseIdleConnections)
	return s
}

func TestSSO(t *testing.T) {
	want := Token{Access: "a", Refresh: "r", Type: "Bearer", Scope: "apigateway", ExpiresIn: time.Hour}
	for name, answer := range map[string]string{
		"wire":              `{"access_token":"a","expires_in":3600,"token_type":"Bearer","refresh_token":"r","scope":"apigateway"}`,
		"document":          `{"Access_token":"a","Expires_in":"3600","Token_type":"Bearer","Refresh_token":"r","Scope":"apigateway"}`,
		"PascalCase":        `{"AccessToken":"a","ExpiresIn":3600,"TokenType":"Bearer","RefreshToken":"r","Scope":"apigateway"}`,
		"undocumented":      `{"id_token":"x","access_token":"a","expires_in":3600.0,"token_type":"Bearer","refresh_token":"r","scope":"apigateway"}`,
		"numeric text, dot": `{"access_token":"a","expires_in":"3600.5","token_type":"Bearer","refresh_token":"r","scope":"apigateway"}`,
	} {
		for grant, c := range map[string]struct {
			call func(context.Context, *SSO) (Token, error)
			form url.Values
		}{
			"password": {
				func(ctx context.Context, s *SSO) (Token, error) { return s.Password(ctx, "用户 & co", "p=&%+") },
				url.Values{"client_id": {"thirdpartyservice"}, "grant_type": {"password"}, "username": {"用户 & co"}, "password": {"p=&%+"}},
			},
			"refresh": {
				func(ctx context.Context, s *SSO) (Token, error) { return s.Refresh(ctx, "old+/=") },
				url.Values{"client_id": {"thirdpartyservice"}, "grant_type": {"refresh_token"}, "refresh_token": {"old+/="}},
			},
		} {
			t.Run(name+", "+grant, func(t *testing.T) {
				server := serve(t, jsonAnswer(answer))
				got, err := c.call(t.Context(), newTestSSO(t, server))
				if err != nil {
					t.Fatal(err)
				}
				if got != want {
					t.Errorf("got %q %q %q %q %v", got.Access, got.Refresh, got.Type, got.Scope, got.ExpiresIn)
				}
				r := server.last(t)
				if r.Method != http.MethodPost || r.Path != "/connect/token" || r.Query != "" {
					t.Errorf("asked %s %s?%s", r.Method, r.Path, r.Query)
				}
				if ct := r.Header.Get("Content-Type"); ct != "application/x-www-form-urlencoded" {
					t.Errorf("Content-Type %q", ct)
				}
				form, err := url.ParseQuery(string(r.Body))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.form, form); diff != "" {
					t.Error(diff)
				}
				if r.Header.Get("Authorization") != "" {
					t.Error("an Authorization was sent")
				}
			})
		}
	}
}

func TestSSOFails(t *testing.T) {
	const password, refresh = "the-password", "the-refresh-token"
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   fault.Code
	}{
		"refused": {statusAnswer(400, "application/json",
			`{"error":"invalid_grant","error_description":"the-password is wrong","title":"the-password","detail":"the-refresh-token"}`), fault.Unauthenticated},
		"locked": {statusAnswer(400, "application/json",
			`{"error":"invalid_grant","error_description":"the-password: account_locked_out"}`), fault.Forbidden},
		"locked, in Chinese":      {statusAnswer(400, "application/json", `{"error":"invalid_grant","error_description":"账号已锁定"}`), fault.Forbidden},
		"locked, escaped Chinese": {statusAnswer(400, "application/json", `{"error":"invalid\u005fgrant","error_description":"\u8d26\u53f7\u5df2\u9501\u5b9a"}`), fault.Forbidden},
		"locked, by code":         {statusAnswer(400, "application/json", `{"error":"account_locked"}`), fault.Forbidden},
		"locked, by one word":     {statusAnswer(403, "application/json", `{"error":"AccountLockedOut"}`), fault.Forbidden},
		"locked address":          {statusAnswer(403, "application/json", `{"error":"Access denied: your IP address is locked out"}`), fault.UpstreamInvalidResponse},
		"locked database":         {statusAnswer(400, "application/json", `{"error":"database is locked"}`), fault.UpstreamInvalidResponse},
		"lock in Chinese text":    {statusAnswer(403, "application/json", `{"error":"数据库已锁定"}`), fault.UpstreamInvalidResponse},
		"lock not acquired":       {statusAnswer(429, "application/json", `{"error":"could not acquire lock"}`), fault.RateLimited},
		"code about a lock, 429":  {statusAnswer(429, "application/json", `{"error":"account_locked"}`), fault.RateLimited},
		"lock beside other code":  {statusAnswer(400, "application/json", `{"error":"server_error","error_description":"the account is locked"}`), fault.UpstreamInvalidResponse},
		"a page":                  {statusAnswer(403, "text/html", " <html>the-password is locked</html>"), fault.UpstreamInvalidResponse},
		"forbidden":               {statusAnswer(403, "application/json", `{"error":"access_denied"}`), fault.UpstreamInvalidResponse},
		"refuses the gateway":     {statusAnswer(400, "application/json", `{"error":"invalid_client"}`), fault.UpstreamInvalidResponse},
		"speaks of a clock":       {statusAnswer(400, "application/json", `{"error":"invalid_grant","error_description":"clock skew: blocked by a deadlock"}`), fault.Unauthenticated},
		"locked, in one word":     {statusAnswer(400, "application/json", `{"error":"invalid_grant","error_description":"IsLockedOut"}`), fault.Forbidden},
		"unauthorised":            {statusAnswer(401, "text/plain", "the-password"), fault.UpstreamInvalidResponse},
		"down":                    {statusAnswer(503, "text/html", "<html>the-password</html>"), fault.UpstreamUnavailable},
		"too many":                {statusAnswer(429, "", ""), fault.RateLimited},
		"page":                    {statusAnswer(200, "text/html", "<html>the-password</html>"), fault.UpstreamInvalidResponse},
		"no token":                {jsonAnswer(`{"token_type":"Bearer"}`), fault.UpstreamInvalidResponse},
		"token that is an object": {jsonAnswer(`{"access_token":{}}`), fault.UpstreamInvalidResponse},
		"token that is a list":    {jsonAnswer(`{"access_token":["the-password"]}`), fault.UpstreamInvalidResponse},
		"token of two lines":      {jsonAnswer(`{"access_token":"a\nX-Other: b"}`), fault.UpstreamInvalidResponse},
		"token of no string":      {jsonAnswer(`{"access_token":{"a":"the-password"}`), fault.UpstreamInvalidResponse},
		"empty":                   {jsonAnswer(``), fault.UpstreamInvalidResponse},
	} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, c.answer)
			sso := newTestSSO(t, server)
			_, byPassword := sso.Password(t.Context(), "user", password)
			_, byRefresh := sso.Refresh(t.Context(), refresh)
			for _, err := range []error{byPassword, byRefresh} {
				if fault.CodeOf(err) != c.want {
					t.Errorf("got %v (%s)", err, fault.CodeOf(err))
				}
				for e := err; e != nil; e = errors.Unwrap(e) {
					if s := fmt.Sprintf("%+v", e); strings.Contains(s, password) || strings.Contains(s, refresh) || strings.Contains(s, "127.0.0.1") {
						t.Errorf("the error says too much: %s", s)
					}
				}
			}
			if n := len(server.all()); n != 2 {
				t.Errorf("2 grants were asked for %d times", n)
			}
		})
	}
}

// TestStatusLocked: status 423 locks an account, and alone it says nothing of a refresh token.
func TestStatusLocked(t *testing.T) {
	for body, want := range map[string][2]fault.Code{
		`{"error":"the-password"}`:        {fault.Forbidden, fault.UpstreamInvalidResponse},
		`{"title":"Locked","status":423}`: {fault.Forbidden, fault.UpstreamInvalidResponse},
		`{"error":"account_locked"}`:      {fault.Forbidden, fault.Forbidden},
		`{"error":"invalid_grant"}`:       {fault.Forbidden, fault.Unauthenticated},
		`the account is locked`:           {fault.UpstreamInvalidResponse, fault.UpstreamInvalidResponse},
	} {
		sso := newTestSSO(t, serve(t, statusAnswer(http.StatusLocked, "application/json", body)))
		_, byPassword := sso.Password(t.Context(), "user", "p")
		_, byRefresh := sso.Refresh(t.Context(), "r")
		if got := [2]fault.Code{fault.CodeOf(byPassword), fault.CodeOf(byRefresh)}; got != want {
			t.Errorf("%s: got %v", body, got)
		}
	}
}

// A refresh token works once, so a grant with a lost response must not be retried.
func TestSSONeverRetries(t *testing.T) {
	server := serve(t, dropConnection)
	_, err := newTestSSO(t, server).Refresh(t.Context(), "r")
	if fault.CodeOf(err) != fault.UpstreamUnavailable || len(server.all()) != 1 {
		t.Errorf("got %v after %d requests", err, len(server.all()))
	}
}

func TestTokenIsRedacted(t *testing.T) {
	token := Token{Access: "SECRET-a", Refresh: "SECRET-r", ExpiresIn: time.Minute}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("x", "token", token, "pointer", &token)
	}
	_, _ = io.WriteString(&log, token.String()+token.GoString())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&log, verb+verb, token, &token)
	}
	fmt.Fprintf(&log, "%v", struct{ T Token }{token})
	if strings.Contains(log.String(), "SECRET") || strings.Contains(log.String(), fmt.Sprintf("%x", "SECRET")) {
		t.Errorf("shown: %s", log.String())
	}
	if !strings.Contains(log.String(), "1m0s") {
		t.Error("nothing was shown at all")
	}
}
