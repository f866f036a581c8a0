package consolesim

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func grant(kind string, more ...string) url.Values {
	v := url.Values{"client_id": {clientID}, "grant_type": {kind}}
	for i := 0; i < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v
}

func TestPasswordGrant(t *testing.T) {
	c := start(t, Options{TokenLifetime: 90 * time.Second})
	user, password := c.DefaultUser()
	o := c.form(grant("password", "username", user, "password", password)).want(http.StatusOK).object()
	if o["expires_in"] != float64(90) || o.str("token_type") != "Bearer" || o.str("scope") == "" {
		t.Errorf("token answer %v", o)
	}
	c.as(o.str("access_token"), "", "").get("/openapi/companies/companylist")
	if got := c.Counts()["POST /connect/token"]; got != 1 {
		t.Errorf("counted %d token calls, want 1", got)
	}
}

func TestTokenRefusals(t *testing.T) {
	c := start(t, Options{})
	user, password := c.DefaultUser()
	wrongClient := grant("password", "username", user, "password", password)
	wrongClient.Set("client_id", "someone")
	for name, tc := range map[string]struct {
		form url.Values
		want string
	}{
		"wrong password":        {grant("password", "username", user, "password", "guess-1"), "invalid_grant"},
		"unknown user":          {grant("password", "username", "nobody", "password", password), "invalid_grant"},
		"unknown refresh token": {grant("refresh_token", "refresh_token", "made-up"), "invalid_grant"},
		"unknown client":        {wrongClient, "invalid_client"},
		"unknown grant":         {grant("implicit"), "unsupported_grant_type"},
	} {
		t.Run(name, func(t *testing.T) {
			c := c.in(t)
			if got := c.form(tc.form).want(http.StatusBadRequest).object().str("error"); got != tc.want {
				t.Errorf("error %q, want %q", got, tc.want)
			}
		})
	}
	a, err := c.send(http.MethodPost, c.SSOURL()+"/connect/token", []byte(`{}`), nil)
	if err != nil || a.status != http.StatusBadRequest || a.object().str("error") != "invalid_request" {
		t.Errorf("JSON instead of a form: %v %s", err, a.raw)
	}
	for _, secret := range []string{"guess-1", "made-up"} {
		if !slices.Contains(c.Data().Secrets(), secret) {
			t.Errorf("received secret %q is not among the secrets", secret)
		}
	}
}

func TestRefreshTokenWorksOnce(t *testing.T) {
	c := start(t, Options{})
	user, password := c.DefaultUser()
	first := c.form(grant("password", "username", user, "password", password)).want(http.StatusOK).object()
	refresh := grant("refresh_token", "refresh_token", first.str("refresh_token"))
	second := c.form(refresh).want(http.StatusOK).object()
	if second.str("access_token") == first.str("access_token") || second.str("refresh_token") == first.str("refresh_token") {
		t.Error("a refresh repeats tokens")
	}
	if got := c.form(refresh).want(http.StatusBadRequest).object().str("error"); got != "invalid_grant" {
		t.Errorf("second use: error %q", got)
	}
	for _, o := range []object{first, second} {
		for _, k := range []string{"access_token", "refresh_token"} {
			if !slices.Contains(c.Data().Secrets(), o.str(k)) {
				t.Errorf("%s is not among the secrets", k)
			}
		}
	}
	c.RevokeRefreshTokens()
	c.form(grant("refresh_token", "refresh_token", second.str("refresh_token"))).want(http.StatusBadRequest)
}

func TestAccessTokenVerifiesAgainstKeys(t *testing.T) {
	c := start(t, Options{})
	load := func(address string) object {
		a, err := c.as("", "", "").send(http.MethodGet, address, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return a.want(http.StatusOK).object()
	}
	conf := load(c.SSOURL() + "/.well-known/openid-configuration")
	key := load(conf.str("jwks_uri")).list("keys")[0]
	number := func(k string) *big.Int {
		b, err := base64.RawURLEncoding.DecodeString(key.str(k))
		if err != nil {
			t.Fatal(err)
		}
		return new(big.Int).SetBytes(b)
	}
	pub := &rsa.PublicKey{N: number("n"), E: int(number("e").Int64())}
	parts := strings.Split(c.token, ".")
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(pub, crypto.SHA256, sum[:], sig); err != nil {
		t.Errorf("signature: %v", err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims object
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	if claims.str("iss") != conf.str("issuer") || claims.str("aud") != "apigateway" || claims.str("client_id") != clientID {
		t.Errorf("claims %v", claims)
	}
	if id := c.Data().Users()[0].ID; claims.str("sub") != id || claims.str("userid") != id || claims.int("exp") == 0 || claims["scope"] == nil {
		t.Errorf("claims %v", claims)
	}
}

func TestUnauthorized(t *testing.T) {
	clk := newClock()
	c := start(t, Options{Now: clk.now, TokenLifetime: time.Minute})
	fresh := c.token
	for name, tc := range map[string]struct {
		header, challenge string
		before            func()
	}{
		"no token":        {header: "", challenge: "Bearer"},
		"other scheme":    {header: "Basic abc", challenge: "Bearer"},
		"unknown token":   {header: "Bearer made-up", challenge: `Bearer error="invalid_token"`},
		"expired token":   {header: "Bearer " + fresh, challenge: "The token expired", before: func() { clk.advance(time.Minute) }},
		"expired by hand": {header: "Bearer " + c.Token("solo"), challenge: "The token expired", before: c.ExpireTokens},
	} {
		t.Run(name, func(t *testing.T) {
			c := c.in(t)
			if tc.before != nil {
				tc.before()
			}
			a, err := c.send(http.MethodGet, c.APIURL()+"/openapi/companies/companylist", nil, map[string]string{"Authorization": tc.header})
			if err != nil {
				t.Fatal(err)
			}
			a.problem(http.StatusUnauthorized, "")
			if got := a.header.Get("WWW-Authenticate"); !strings.Contains(got, tc.challenge) {
				t.Errorf("WWW-Authenticate %q, want %q in it", got, tc.challenge)
			}
		})
	}
	if !slices.Contains(c.Data().Secrets(), "made-up") {
		t.Error("a received token is not among the secrets")
	}
	if c.Token("nobody") != "" {
		t.Error("Token of an unknown user")
	}
}

func TestScope(t *testing.T) {
	plain := start(t, Options{})
	d := plain.Data()
	main := d.Departments(d.MainCompanyID())
	forbidden := main[len(main)-1].ID
	c := start(t, Options{ForbiddenDepartments: []string{strings.ToUpper(forbidden)}})
	other := d.Companies()[1]
	restricted := c.Token(d.RestrictedUser().Username)
	const nowhere = "11111111-2222-4333-8444-555555555555"
	for name, tc := range map[string]struct {
		path, token, company, dept string
		want                       int
	}{
		"company list without scope":    {"/openapi/companies/companylist", c.token, "", "", 200},
		"tree with company only":        {"/openapi/departments/tree", c.token, c.company, "", 200},
		"self with company only":        {"/openapi/companyusers/self", c.token, c.company, "", 200},
		"tree without company":          {"/openapi/departments/tree", c.token, "", "", 400},
		"self without company":          {"/openapi/companyusers/self", c.token, "", "", 400},
		"company is no GUID":            {"/openapi/departments/tree", c.token, "x", "", 400},
		"unknown company":               {"/openapi/departments/tree", c.token, nowhere, "", 403},
		"packages without department":   {"/openapi/packages", c.token, c.company, "", 400},
		"queues without department":     {"/openapi/queues", c.token, c.company, "", 400},
		"robots without department":     {"/openapi/robots", c.token, c.company, "", 400},
		"workflows without department":  {"/openapi/workflows", c.token, c.company, "", 400},
		"layouts without department":    {"/openapi/workflowlayouts", c.token, c.company, "", 400},
		"department is no GUID":         {"/openapi/queues", c.token, c.company, "x", 400},
		"unknown department":            {"/openapi/queues", c.token, c.company, nowhere, 403},
		"department of another company": {"/openapi/queues", c.token, c.company, other.RootDepartmentID, 403},
		"forbidden department":          {"/openapi/queues", c.token, c.company, forbidden, 403},
		"upper-case headers":            {"/openapi/queues", c.token, strings.ToUpper(c.company), strings.ToUpper(c.dept), 200},
		"restricted user, own":          {"/openapi/queues", restricted, c.company, d.RestrictedUser().DepartmentIDs[1], 200},
		"restricted user, foreign":      {"/openapi/queues", restricted, c.company, main[0].ID, 403},
		"user not in the company":       {"/openapi/departments/tree", c.Token("solo"), c.company, "", 403},
		"user of one company, at home":  {"/openapi/queues", c.Token("solo"), other.ID, other.RootDepartmentID, 200},
	} {
		t.Run(name, func(t *testing.T) {
			c := c.in(t)
			a := c.as(tc.token, tc.company, tc.dept).call(http.MethodGet, tc.path, "")
			if a.want(tc.want); tc.want != 200 {
				a.problem(tc.want, "")
			}
		})
	}
}

func TestGrantsAreNoted(t *testing.T) {
	c := start(t, Options{})
	user, password := c.DefaultUser()
	first := c.form(grant("password", "username", user, "password", password)).want(http.StatusOK).object()
	c.form(grant("password", "username", user, "password", "wrong")).want(http.StatusBadRequest)
	refresh := grant("refresh_token", "refresh_token", first.str("refresh_token"))
	c.form(refresh).want(http.StatusOK)
	c.form(refresh).want(http.StatusBadRequest)
	c.form(grant("refresh_token", "refresh_token", "made-up")).want(http.StatusBadRequest)
	got := c.Grants()
	for i := range got {
		if got[i].At.IsZero() {
			t.Errorf("grant %d has no time", i)
		}
		got[i].At = time.Time{}
	}
	want := []Grant{
		{Type: "password", Username: user}, {Type: "password", Username: user, Refused: true},
		{Type: "refresh_token", Username: user}, {Type: "refresh_token", Refused: true, Reused: true}, {Type: "refresh_token", Refused: true},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
	if c.ResetGrants(); len(c.Grants()) > 0 {
		t.Error("the grants are not forgotten")
	}
}

func TestLockedUser(t *testing.T) {
	c := start(t, Options{})
	user, password := c.DefaultUser()
	form := grant("password", "username", user, "password", password)
	c.LockUser(user, true)
	if o := c.form(form).want(http.StatusBadRequest).object(); o.str("error") != "invalid_grant" || !strings.Contains(o.str("error_description"), "locked") {
		t.Errorf("a locked account got %v", o)
	}
	c.LockUser(user, false)
	c.form(form).want(http.StatusOK)
}

func TestRotateKey(t *testing.T) {
	c := start(t, Options{})
	kid := func() string {
		raw, err := base64.RawURLEncoding.DecodeString(strings.Split(c.Token("demo"), ".")[0])
		if err != nil {
			t.Fatal(err)
		}
		var head object
		if err := json.Unmarshal(raw, &head); err != nil {
			t.Fatal(err)
		}
		return head.str("kid")
	}
	before := kid()
	if err := c.rotateKey(); err != nil {
		t.Fatal(err)
	}
	a, err := c.send(http.MethodGet, c.SSOURL()+"/.well-known/openid-configuration/jwks", nil, nil)
	if err != nil || kid() == before || !strings.Contains(string(a.raw), kid()) || strings.Contains(string(a.raw), before+`"`) {
		t.Errorf("signed by %s after %s, published %s, %v", kid(), before, a.raw, err)
	}
}

// TestSimulatorKeysAreDistinct verifies that a simulator may reuse the key of a closed one,
// and of no other.
func TestSimulatorKeysAreDistinct(t *testing.T) {
	modulus := func(s *Server) string {
		key, _ := s.sso.signer()
		return key.N.String()
	}
	first, second := start(t, Options{}), start(t, Options{})
	ended := modulus(second.Server)
	if ended == modulus(first.Server) {
		t.Error("two that run share a key")
	}
	if err := errors.Join(second.Close(), second.Close()); err != nil {
		t.Fatal(err)
	}
	third, fourth := start(t, Options{}), start(t, Options{})
	seen := map[string]bool{modulus(first.Server): true, modulus(third.Server): true, modulus(fourth.Server): true}
	if len(seen) != 3 {
		t.Error("two that run share a key")
	}
	if !seen[ended] {
		t.Error("the key of the one that has ended is not used again")
	}
}
