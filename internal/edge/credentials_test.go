package edge

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

func with(header http.Header) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/graphql", nil)
	r.Header = header
	return r
}

func TestPrincipalOf(t *testing.T) {
	for name, tt := range map[string]struct {
		header    http.Header
		anonymous bool
		want      principal.Principal
		refused   bool
	}{
		"nobody":                    {nil, false, principal.Principal{}, false},
		"nobody, where that is one": {nil, true, principal.DefaultService(), false},
		"a token":                   {http.Header{"Authorization": {"Bearer abc"}}, false, principal.FromToken("abc"), false},
		"a token, odd case":         {http.Header{"Authorization": {"bEARER  abc "}}, true, principal.FromToken("abc"), false},
		"another scheme":            {http.Header{"Authorization": {"Basic abc"}}, true, principal.Principal{}, true},
		"no token":                  {http.Header{"Authorization": {"Bearer"}}, true, principal.Principal{}, true},
		"an empty header":           {http.Header{"Authorization": {""}}, true, principal.DefaultService(), false},
		"empty, and none needed":    {http.Header{"Authorization": {" \t"}, "X-Api-Key": {""}}, false, principal.Principal{}, false},
		"an empty API key":          {http.Header{"X-Api-Key": {" "}}, true, principal.DefaultService(), false},
		"a token, an empty API key": {http.Header{"X-Api-Key": {""}, "Authorization": {"Bearer a"}}, true, principal.FromToken("a"), false},
		"an empty line and a token": {http.Header{"Authorization": {"", "Bearer a"}}, true, principal.FromToken("a"), false},
		"a scheme and blanks":       {http.Header{"Authorization": {"Bearer "}}, true, principal.Principal{}, true},
		"the word undefined":        {http.Header{"Authorization": {"undefined"}}, true, principal.Principal{}, true},
		"the word null as API key":  {http.Header{"X-Api-Key": {"null"}}, true, principal.Principal{}, true},
		"two tokens":                {http.Header{"Authorization": {"Bearer a", "Bearer b"}}, true, principal.Principal{}, true},
		"two in one":                {http.Header{"Authorization": {"Bearer a, Bearer b"}}, true, principal.Principal{}, true},
		"an API key":                {http.Header{"X-Api-Key": {"k"}}, true, principal.Principal{}, true},
		"an API key as a token":     {http.Header{"Authorization": {"Bearer cqk_abc"}}, true, principal.Principal{}, true},
		"an API key and a token":    {http.Header{"X-Api-Key": {"k"}, "Authorization": {"Bearer a"}}, true, principal.Principal{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{opts: Options{Anonymous: tt.anonymous}}
			got, err := s.Principal(t.Context(), with(tt.header).Header)
			if (err != nil) != tt.refused || got != tt.want {
				t.Errorf("%v, %v", got, err)
			}
			if tt.refused && fault.CodeOf(err) != fault.Unauthenticated {
				t.Errorf("code %s", fault.CodeOf(err))
			}
		})
	}
}

func TestScopeOf(t *testing.T) {
	const company, department = "11111111-1111-4111-8111-1111111111aa", "22222222-2222-4222-8222-2222222222bb"
	for name, tt := range map[string]struct {
		header http.Header
		want   scope.Scope
		bad    string
	}{
		"none":          {nil, scope.Scope{}, ""},
		"empty":         {http.Header{"Companyid": {" "}, "Departmentid": {""}}, scope.Scope{}, ""},
		"both":          {http.Header{"Companyid": {company}, "Departmentid": {" " + department + " "}}, scope.Scope{CompanyID: company, DepartmentID: department}, ""},
		"one is empty":  {http.Header{"Companyid": {"", company}}, scope.Scope{CompanyID: company}, ""},
		"upper case":    {http.Header{"Companyid": {strings.ToUpper(company)}}, scope.Scope{CompanyID: company}, ""},
		"department":    {http.Header{"Departmentid": {department}}, scope.Scope{DepartmentID: department}, ""},
		"no company":    {http.Header{"Companyid": {"acme"}, "Departmentid": {department}}, scope.Scope{}, "CompanyId"},
		"in braces":     {http.Header{"Companyid": {"{" + company + "}"}}, scope.Scope{CompanyID: company}, ""},
		"no department": {http.Header{"Companyid": {company}, "Departmentid": {"x" + department}}, scope.Scope{}, "DepartmentId"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := graphqlhttp.ScopeOf(with(tt.header))
			if tt.bad == "" {
				if err != nil || got != tt.want {
					t.Errorf("%+v, %v", got, err)
				}
				return
			}
			var f *fault.Error
			if !errors.As(err, &f) || f.Code != fault.BadUserInput || f.Argument != tt.bad {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestDuplicateScopeHeaders verifies that two values of a scope header are refused, since one
// may come from a proxy.
func TestDuplicateScopeHeaders(t *testing.T) {
	for _, name := range []string{graphqlhttp.HeaderCompany, graphqlhttp.HeaderDepartment} {
		r := httptest.NewRequest(http.MethodPost, "/graphql", nil)
		for range 2 {
			r.Header.Add(name, "11111111-1111-4111-8111-111111111111")
			_, err := graphqlhttp.ScopeOf(r)
			if twice := len(r.Header.Values(name)) > 1; twice != (fault.CodeOf(err) == fault.BadUserInput) {
				t.Errorf("%v: %v", r.Header, err)
			}
		}
	}
}

// everyKey accepts every API key.
type everyKey struct{}

func (everyKey) Find(string) (principal.Principal, bool) { return principal.DefaultService(), true }

func TestCredentialFormat(t *testing.T) {
	s := &server{}
	if _, err := s.bearer(t.Context(), "Bearer "+strings.Repeat("x", maxCredential+1)); err == nil || len(err.Error()) > 200 {
		t.Errorf("%v", err)
	}
	if _, err := s.bearer(t.Context(), "Bearer "+strings.Repeat("x", maxCredential)); err != nil {
		t.Error(err)
	}
	s.opts.Keys = everyKey{}
	if _, err := s.APIKeyPrincipal(strings.Repeat("x", maxCredential+1)); err == nil || len(err.Error()) > 200 {
		t.Errorf("%v", err)
	}
	if _, err := s.APIKeyPrincipal(strings.Repeat("x", maxCredential)); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"Authorization", "X-Api-Key", "CompanyId", "DepartmentId", "X-ConsoleQL-Trace"} {
		h := http.Header{}
		h.Set(name, "\xc4\xe3")
		if err := checkHeaders(h); fault.CodeOf(err) != fault.BadUserInput {
			t.Errorf("%s is taken", name)
		}
		h.Set(name, "ä")
		if err := checkHeaders(h); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
