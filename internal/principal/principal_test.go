package principal_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

const (
	company, other = "11111111-1111-4111-8111-1111111111aa", "22222222-2222-4222-8222-2222222222bb"
	dept, sibling  = "33333333-3333-4333-8333-3333333333cc", "44444444-4444-4444-8444-4444444444dd"
)

func TestNamesAreDistinct(t *testing.T) {
	at := time.Unix(1700000000, 0)
	limits := func(departments ...string) *principal.Limits {
		return &principal.Limits{Scopes: []principal.ScopeLimit{{CompanyID: company, DepartmentIDs: departments}}}
	}
	names := map[string]string{}
	for what, p := range map[string]principal.Principal{
		"nobody":             {},
		"a token":            principal.FromToken("a"),
		"another token":      principal.FromToken("b"),
		"a verified user":    principal.Verified("a", "u1", at),
		"another user":       principal.Verified("a", "u2", at),
		"a session":          principal.FromSession("a"),
		"another session":    principal.FromSession("b"),
		"the default":        principal.DefaultService(),
		"another account":    principal.ForAccount("x", nil),
		"a company of it":    principal.ForAccount("x", limits()),
		"a department of it": principal.ForAccount("x", limits(dept)),
	} {
		if before, taken := names[p.Name()]; taken {
			t.Errorf("%s and %s are both named %q", what, before, p.Name())
		}
		names[p.Name()] = what
	}
	if a, b := principal.Verified("a", "u", at), principal.Verified("b", "u", at); a.Name() != b.Name() {
		t.Error("two tokens of one verified user are two principals")
	}
	asks := &principal.Limits{Operations: []string{"query"}}
	if principal.ForAccount("x", asks).Name() != principal.ForAccount("x", nil).Name() {
		t.Error("what a key may ask changes whose answers it sees")
	}
}

func TestCallers(t *testing.T) {
	at := time.Unix(1700000000, 0)
	callers := map[string]string{}
	for name, p := range map[string]principal.Principal{
		"no credentials":         {},
		"a token":                principal.FromToken("a"),
		"another token":          principal.FromToken("b"),
		"a verified user":        principal.Verified("a", "u1", at),
		"another user":           principal.Verified("a", "u2", at),
		"a session":              principal.FromSession("cqs_a"),
		"another session":        principal.FromSession("cqs_b"),
		"an API key":             principal.ForAccount("x", nil).WithKey("k1"),
		"another key of it":      principal.ForAccount("x", nil).WithKey("k2"),
		"a key called anonymous": principal.ForAccount("x", nil).WithKey("anonymous"),
		"a key of the default":   principal.DefaultService().WithKey("k3"),
	} {
		caller := principal.Caller(principal.NewContext(t.Context(), p))
		if before, taken := callers[caller]; taken || caller == "" || strings.Contains(caller, "cqs_") {
			t.Errorf("%s and %q are both the caller %q", name, before, caller)
		}
		callers[caller] = name
	}
	for name, p := range map[string]principal.Principal{"no credentials": {}, "credentials not needed": principal.DefaultService()} {
		if caller := p.Caller(); caller != principal.AnonymousCaller {
			t.Errorf("%s: the caller is %q", name, caller)
		}
	}
	if caller := principal.Caller(t.Context()); caller != principal.AnonymousCaller {
		t.Errorf("the caller of an empty context is %q", caller)
	}
	if a, b := principal.Verified("a", "u", at), principal.Verified("b", "u", at); a.Caller() != b.Caller() {
		t.Error("two tokens of one verified user are two callers")
	}
	if a, b := principal.ForAccount("x", nil).WithKey("k1"), principal.ForAccount("x", nil); a.Name() != b.Name() {
		t.Error("the name of an API key changes the principal's name")
	}
}

func TestExpires(t *testing.T) {
	at := time.Now().Add(time.Hour)
	if got, ok := principal.Verified("a", "u", at).Expires(); !ok || !got.Equal(at) {
		t.Errorf("got %v, %v", got, ok)
	}
	for _, p := range []principal.Principal{{}, principal.FromToken("a"), principal.FromSession("a"), principal.DefaultService()} {
		if at, ok := p.Expires(); ok {
			t.Errorf("%v expires at %v", p, at)
		}
	}
}

// TestUser verifies that only a verified console token names a user. An API key that expires does not.
func TestUser(t *testing.T) {
	at := time.Now().Add(time.Hour)
	for name, tt := range map[string]struct {
		of   principal.Principal
		want string
	}{
		"a verified token":          {principal.Verified("a", "u", at), "u"},
		"a token":                   {principal.FromToken("a"), ""},
		"a session":                 {principal.FromSession("a"), ""},
		"an API key":                {principal.ForAccount("x", nil).WithKey("k"), ""},
		"an API key that expires":   {principal.ForAccount("x", nil).WithKey("k").WithEnd(at, nil), ""},
		"no credentials whatsoever": {principal.Principal{}, ""},
	} {
		if got := tt.of.User(); got != tt.want {
			t.Errorf("%s: the user is %q", name, got)
		}
	}
}

// TestWithoutLimits verifies that the scopes of an API key do not change its name without limits.
func TestWithoutLimits(t *testing.T) {
	scoped := principal.ForAccount("x", &principal.Limits{Scopes: []principal.ScopeLimit{{CompanyID: company}}}).WithKey("k")
	if got, want := scoped.WithoutLimits(), principal.ForAccount("x", nil).WithKey("k"); got != want {
		t.Errorf("%#v, want %#v", got, want)
	}
	for _, p := range []principal.Principal{{}, principal.FromToken("a"), principal.FromSession("a"), principal.DefaultService()} {
		if got := p.WithoutLimits(); got != p {
			t.Errorf("%#v became %#v", p, got)
		}
	}
}

func TestTokensAreRedacted(t *testing.T) {
	const secret = "s3cret"
	for _, p := range []principal.Principal{principal.FromToken(secret), principal.Verified(secret, "u", time.Now()), principal.FromSession(secret)} {
		text := fmt.Sprint(p) + fmt.Sprintf("%+v %#v %s", p, p, p) + p.LogValue().String()
		if strings.Contains(text, secret) {
			t.Errorf("%q holds the token", text)
		}
	}
}

func TestLimits(t *testing.T) {
	var none *principal.Limits
	limits := &principal.Limits{
		Operations: []string{"query"}, Fields: []string{"robots"},
		Scopes: []principal.ScopeLimit{{CompanyID: company, DepartmentIDs: []string{dept}}, {CompanyID: other}},
	}
	for name, tt := range map[string]struct {
		err     error
		allowed bool
	}{
		"no limits, field":              {none.CheckField("mutation", "x"), true},
		"no limits, scope":              {none.CheckScope(scope.Scope{CompanyID: sibling}), true},
		"empty limits":                  {(&principal.Limits{}).CheckField("mutation", "x"), true},
		"the field":                     {limits.CheckField("query", "robots"), true},
		"another field":                 {limits.CheckField("query", "queues"), false},
		"another operation":             {limits.CheckField("mutation", "robots"), false},
		"GraphQL's own":                 {limits.CheckField("query", "__schema"), true},
		"the department":                {limits.CheckScope(scope.Scope{CompanyID: company, DepartmentID: dept}), true},
		"its company":                   {limits.CheckScope(scope.Scope{CompanyID: company}), true},
		"a sibling":                     {limits.CheckScope(scope.Scope{CompanyID: company, DepartmentID: sibling}), false},
		"any department of a company":   {limits.CheckScope(scope.Scope{CompanyID: other, DepartmentID: sibling}), true},
		"another company":               {limits.CheckScope(scope.Scope{CompanyID: dept}), false},
		"a department without company":  {limits.CheckScope(scope.Scope{DepartmentID: dept}), false},
		"no scope (the companies' own)": {limits.CheckScope(scope.Scope{}), true},
	} {
		if (tt.err == nil) != tt.allowed || tt.err != nil && fault.CodeOf(tt.err) != fault.Forbidden {
			t.Errorf("%s: %v", name, tt.err)
		}
	}
	if !limits.SeesCompany(strings.ToUpper(company)) || limits.SeesCompany(sibling) || !none.SeesCompany(sibling) {
		t.Error("the companies seen are not the limits'")
	}
	one := &principal.Limits{Scopes: limits.Scopes[:1]}
	if got := one.OnlyScope(); got != (scope.Scope{CompanyID: company, DepartmentID: dept}) {
		t.Errorf("the only scope is %+v", got)
	}
	if limits.OnlyScope() != (scope.Scope{}) || none.OnlyScope() != (scope.Scope{}) {
		t.Error("a scope was chosen where there is a choice")
	}
}
func TestIsBearerToken(t *testing.T) {
	for token, want := range map[string]bool{
		"abc": true, "eyJ.a-b_c.x~y+z/==": true, "0": true,
		"": false, "a b": false, "a\tb": false, "a\r\nX: y": false, "a,b": false, `"a"`: false, "a;b": false, "é": false, "a\x00": false, "a%20": false,
	} {
		if principal.IsBearerToken(token) != want {
			t.Errorf("%q: %v", token, !want)
		}
	}
	b64token := regexp.MustCompile(`\A[A-Za-z0-9._~+/=-]\z`)
	for c := range 256 {
		if token := string([]byte{byte(c)}); principal.IsBearerToken(token) != b64token.MatchString(token) {
			t.Errorf("%q: %v", token, principal.IsBearerToken(token))
		}
	}
}
