package consolesim

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	clientID   = "thirdpartyservice"
	tokenScope = "apigateway offline_access openid profile"
	keyID      = "console-signing-key"
	maxGrants  = 1 << 16 // the oldest are forgotten
)

// ssoState is the state of the single sign-on service: its key and the tokens it has issued.
type ssoState struct {
	mu      sync.RWMutex
	key     *rsa.PrivateKey
	keyID   string
	keys    int // number of keys so far
	access  map[string]session
	refresh map[string]*User
	used    map[string]struct{} // refresh tokens
	locked  map[string]bool     // by account id
	grants  []Grant
}

// Grant is a token request and its outcome.
type Grant struct {
	// Type is password or refresh_token.
	Type string
	// Username is the user whose token was requested; empty if unknown.
	Username string
	// At is the time of the decision, by the wall clock.
	At time.Time
	// Refused reports that no token was issued.
	Refused bool
	// Reused reports that the refresh token had been used before.
	Reused bool
}

// Grants returns the newest 65,536 token requests since the start or the last
// [Server.ResetGrants], oldest first.
func (s *Server) Grants() []Grant {
	s.sso.mu.RLock()
	defer s.sso.mu.RUnlock()
	return slices.Clone(s.sso.grants)
}

// ResetGrants clears the list of token requests.
func (s *Server) ResetGrants() {
	s.sso.mu.Lock()
	defer s.sso.mu.Unlock()
	s.sso.grants = nil
}

// LockUser locks or unlocks an account. The SSO refuses every password of a locked account,
// and states the reason.
func (s *Server) LockUser(username string, locked bool) {
	u := s.st.userByName[strings.ToLower(username)]
	s.sso.mu.Lock()
	defer s.sso.mu.Unlock()
	if u != nil {
		s.sso.locked[u.ID] = locked
	}
}

// rotateKey replaces the SSO's signing key and publishes only the new one. It fails if there
// is no randomness.
func (s *Server) rotateKey() error {
	key, err := newKey()
	if err != nil {
		return err
	}
	s.sso.mu.Lock()
	defer s.sso.mu.Unlock()
	s.sso.keys++
	s.sso.key, s.sso.keyID = key, keyID+"-"+strconv.Itoa(s.sso.keys)
	return nil
}

func (s *ssoState) note(g Grant) {
	g.At = time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.grants) >= maxGrants {
		s.grants = slices.Delete(s.grants, 0, maxGrants/2)
	}
	s.grants = append(s.grants, g)
}

// signer is the signing key and its name.
func (s *ssoState) signer() (*rsa.PrivateKey, string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.key, s.keyID
}

// session is the user and expiry of an access token.
type session struct {
	user    *User
	expires time.Time
}

func newSSO() (*ssoState, error) {
	key, err := pregeneratedKeys.get()
	if err != nil {
		return nil, err
	}
	return &ssoState{
		key: key, keyID: keyID, access: map[string]session{}, refresh: map[string]*User{},
		used: map[string]struct{}{}, locked: map[string]bool{},
	}, nil
}

func (s *Server) ssoRoutes() []*route {
	token := on("POST /connect/token", needNothing, s.postToken)
	token.json = false
	return []*route{
		token,
		on("GET /.well-known/openid-configuration", needNothing, s.getDiscovery),
		on("GET /.well-known/openid-configuration/jwks", needNothing, s.getKeys),
	}
}

// postToken is the document's section Authentication: get token, refresh token.
func (s *Server) postToken(c *call) (reply, error) {
	media, _, _ := strings.Cut(c.r.Header.Get("Content-Type"), ";")
	form, err := url.ParseQuery(string(c.body))
	if err != nil || !strings.EqualFold(strings.TrimSpace(media), "application/x-www-form-urlencoded") {
		return reply{}, &oauthError{http.StatusBadRequest, "invalid_request", "form fields are required"}
	}
	s.secrets.add(form.Get("password"), form.Get("refresh_token"))
	if form.Get("client_id") != clientID {
		return reply{}, &oauthError{http.StatusBadRequest, "invalid_client", "unknown client"}
	}
	var u *User
	switch form.Get("grant_type") {
	case "password":
		u = s.st.userByName[strings.ToLower(form.Get("username"))]
		if u != nil && s.sso.isLocked(u) {
			s.sso.note(Grant{Type: "password", Username: u.Username, Refused: true})
			return reply{}, &oauthError{http.StatusBadRequest, "invalid_grant", "account_locked_out"}
		}
		if u == nil || u.Password != form.Get("password") {
			s.sso.note(Grant{Type: "password", Username: form.Get("username"), Refused: true})
			return reply{}, &oauthError{http.StatusBadRequest, "invalid_grant", "invalid_username_or_password"}
		}
	case "refresh_token":
		var reused bool
		if u, reused = s.sso.redeem(form.Get("refresh_token")); u == nil {
			s.sso.note(Grant{Type: "refresh_token", Refused: true, Reused: reused})
			return reply{}, &oauthError{http.StatusBadRequest, "invalid_grant", "the refresh token is unknown or used"}
		}
	default:
		return reply{}, &oauthError{http.StatusBadRequest, "unsupported_grant_type", "password and refresh_token are supported"}
	}
	access, err := s.signToken(u)
	if err != nil {
		return reply{}, err
	}
	refresh := s.sso.newRefresh(u)
	s.secrets.add(refresh)
	s.sso.note(Grant{Type: form.Get("grant_type"), Username: u.Username})

	e := c.encoder()
	e.begin()
	e.str("access_token", access)
	if seconds := int64(s.opts.TokenLifetime / time.Second); e.d.ExpiresInString {
		e.str("expires_in", strconv.FormatInt(seconds, 10))
	} else {
		e.int("expires_in", seconds)
	}
	e.str("token_type", "Bearer")
	e.str("refresh_token", refresh)
	e.str("scope", tokenScope)
	e.end()
	out := okJSON(e.bytes())
	out.header = http.Header{"Cache-Control": {"no-store"}, "Pragma": {"no-cache"}}
	return out, nil
}

func (s *ssoState) isLocked(u *User) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.locked[u.ID]
}

// redeem consumes a refresh token; nil if it is unknown or was used before.
func (s *ssoState) redeem(token string) (u *User, reused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u = s.refresh[token]
	_, reused = s.used[token]
	if u != nil {
		s.used[token] = struct{}{}
	}
	delete(s.refresh, token)
	return u, reused
}

func (s *ssoState) newRefresh(u *User) string {
	token := rand.Text() + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh[token] = u
	return token
}

// signToken signs an access token: a JWT (RS256) with the same claims as the console's tokens.
func (s *Server) signToken(u *User) (string, error) {
	now := s.opts.Now()
	expires := now.Add(s.opts.TokenLifetime)
	claims, err := json.Marshal(map[string]any{
		"iss": s.ssoURL, "aud": "apigateway", "nbf": now.Unix(), "iat": now.Unix(), "exp": expires.Unix(),
		"client_id": clientID, "sub": u.ID, "userid": u.ID, "name": u.Username, "jti": rand.Text(),
		"scope": strings.Fields(tokenScope), "amr": []string{"pwd"},
	})
	if err != nil {
		return "", fmt.Errorf("consolesim: claims: %w", err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	key, kid := s.sso.signer()
	input := enc([]byte(`{"alg":"RS256","typ":"at+jwt","kid":"`+kid+`"}`)) + "." + enc(claims)
	sum := sha256.Sum256([]byte(input))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("consolesim: sign token: %w", err)
	}
	token := input + "." + enc(sig)
	s.secrets.add(token)
	s.sso.mu.Lock()
	defer s.sso.mu.Unlock()
	s.sso.access[token] = session{u, expires}
	return token, nil
}

// getDiscovery is the OpenID Connect discovery document.
func (s *Server) getDiscovery(*call) (reply, error) {
	e := encoder{}
	e.begin()
	e.str("issuer", s.ssoURL)
	e.str("token_endpoint", s.ssoURL+"/connect/token")
	e.str("jwks_uri", s.ssoURL+"/.well-known/openid-configuration/jwks")
	e.strs("grant_types_supported", []string{"password", "refresh_token"})
	e.strs("scopes_supported", strings.Fields(tokenScope))
	e.strs("id_token_signing_alg_values_supported", []string{"RS256"})
	e.end()
	return okJSON(e.bytes()), nil
}

// getKeys is the JSON Web Key Set that verifies access tokens.
func (s *Server) getKeys(*call) (reply, error) {
	key, kid := s.sso.signer()
	pub := key.PublicKey
	var exp [8]byte
	binary.BigEndian.PutUint64(exp[:], uint64(pub.E))
	exponent := slices.Clone(exp[:])
	for len(exponent) > 1 && exponent[0] == 0 {
		exponent = exponent[1:]
	}
	e := encoder{}
	e.begin()
	e.beginListAt("keys")
	e.begin()
	e.str("kty", "RSA")
	e.str("use", "sig")
	e.str("alg", "RS256")
	e.str("kid", kid)
	e.str("n", base64.RawURLEncoding.EncodeToString(pub.N.Bytes()))
	e.str("e", base64.RawURLEncoding.EncodeToString(exponent))
	e.end()
	e.endList()
	e.end()
	return okJSON(e.bytes()), nil
}

// authorize checks the token and the scope headers, in the console's order: authentication,
// scope, permission.
func (s *Server) authorize(c *call, n need) error {
	if n == needNothing {
		return nil
	}
	scheme, token, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return unauthorized("")
	}
	s.sso.mu.RLock()
	sess, ok := s.sso.access[token]
	s.sso.mu.RUnlock()
	if !ok {
		s.secrets.add(token)
		return unauthorized("The token is invalid")
	}
	if !s.opts.Now().Before(sess.expires) {
		return unauthorized("The token expired at '" + sess.expires.UTC().Format(http.TimeFormat) + "'")
	}
	c.user = sess.user
	if n == needToken {
		return nil
	}
	company, err := scopeHeader(c.r, "CompanyId")
	if err != nil {
		return err
	}
	c.company = s.st.companyByID[company]
	if c.company == nil || !slices.Contains(c.user.CompanyIDs, company) {
		return problemf(http.StatusForbidden, "The user does not belong to company %s.", company)
	}
	if n == needCompany {
		return nil
	}
	dept, err := scopeHeader(c.r, "DepartmentId")
	if err != nil {
		return err
	}
	c.dept = s.st.departments[dept]
	if c.dept == nil || c.dept.CompanyID != company || c.dept.Refuses || !s.hasRole(c.user, dept) {
		return problemf(http.StatusForbidden, "The user has no permission in department %s.", dept)
	}
	return nil
}

// hasRole reports whether a user of the department's company has a role in it.
func (s *Server) hasRole(u *User, dept string) bool {
	return !s.forbidden[dept] && (len(u.DepartmentIDs) == 0 || slices.Contains(u.DepartmentIDs, dept))
}

func scopeHeader(r *http.Request, name string) (string, error) {
	v := r.Header.Get(name)
	if v == "" {
		return "", badRequest("The header %s is required.", name)
	}
	if !isGUID(v) {
		return "", badRequest("The header %s is not a valid GUID.", name)
	}
	return strings.ToLower(v), nil
}

// Token signs a valid access token for a user without a request. It is "" for an unknown user.
func (s *Server) Token(username string) string {
	u := s.st.userByName[strings.ToLower(username)]
	if u == nil {
		return ""
	}
	token, err := s.signToken(u)
	if err != nil { // cannot fail: the key is valid, and the claims are plain texts
		return ""
	}
	return token
}

// ExpireTokens ends every issued access token. Refresh tokens stay valid.
func (s *Server) ExpireTokens() {
	s.sso.mu.Lock()
	defer s.sso.mu.Unlock()
	for t, sess := range s.sso.access {
		sess.expires = time.Time{}
		s.sso.access[t] = sess
	}
}

// RevokeRefreshTokens revokes every issued refresh token.
func (s *Server) RevokeRefreshTokens() {
	s.sso.mu.Lock()
	defer s.sso.mu.Unlock()
	clear(s.sso.refresh)
}

// fileHash prints a SHA-256 as the console does.
func fileHash(sum []byte) string { return hex.EncodeToString(sum) }
