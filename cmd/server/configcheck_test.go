package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/apikey"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

// setUp is a set-up for config --check.
type setUp struct {
	t    *testing.T
	sim  *consolesim.Server
	args map[string]string // flags without dashes
}

func newSetUp(t *testing.T, o consolesim.Options) *setUp {
	t.Helper()
	sim := e2e.NewSim(t, o)
	username, password := sim.DefaultUser()
	return &setUp{t, sim, map[string]string{
		"console-url": sim.APIURL(), "sso-url": sim.SSOURL(), "username": username, "password": password,
		"company-id": sim.Data().MainCompanyID(), "department-id": sim.Data().MainDepartmentID(),
	}}
}

// check runs config --check.
func (s *setUp) check() (code int, report, log string) {
	s.t.Helper()
	args := []string{"config", "--check"}
	for name, value := range s.args {
		args = append(args, "--"+name+"="+value)
	}
	var out, err bytes.Buffer
	code = run(s.t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

// file writes a file and returns its path.
func (s *setUp) file(text string) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// front puts a proxy in front of the console, which changes its answers.
func (s *setUp) front(change func(*http.Response) error) {
	s.t.Helper()
	target, err := url.Parse(s.sim.APIURL())
	if err != nil {
		s.t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = change
	server := httptest.NewServer(proxy)
	s.t.Cleanup(server.Close)
	s.args["console-url"] = server.URL
}

func (s *setUp) redis(name, value string) {
	s.t.Helper()
	store := redistest.Start(s.t)
	client := redis.NewClient(&redis.Options{Addr: store.Addr()})
	defer client.Close()
	if err := client.ConfigSet(s.t.Context(), name, value).Err(); err != nil {
		s.t.Fatal(err)
	}
	s.args["redis-url"] = store.URL()
}

// agents enables the endpoint for agents with a manifest and its descriptions.
func (s *setUp) agents(descriptions string) {
	s.t.Helper()
	manifest := s.file(`{"1":"query Viewer { viewer { id } }","2":"mutation Remove($id: ID!) { deleteQueue(input: {id: $id}) { deletedId } }"}`)
	if err := os.WriteFile(manifest+".descriptions.json", []byte(descriptions), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.args["trusted-documents"], s.args["mcp"], s.args["anonymous"] = manifest, "on", "false"
}

// TestCheckTools verifies that the report names mutations that are no tools.
func TestCheckTools(t *testing.T) {
	t.Parallel()
	for names, want := range map[string]string{"Remove": "", "Remove,Absent,Viewer": `no mutations that can be tools: ["Absent" "Viewer"]`} {
		s := newSetUp(t, consolesim.Options{})
		s.agents(`{"Viewer":"Reads.","Remove":"Removes."}`)
		s.args["mcp-mutations"] = names
		code, report, log := s.check()
		if code != 0 || !strings.Contains(report, "2 documents") || !strings.Contains(report, want) || strings.Contains(report, "--mcp-mutations") != (want != "") {
			t.Errorf("%s: exit status %d, report:\n%s%s", names, code, report, log)
		}
	}
}

// TestCheckIssuers verifies that the report warns if the token of a login would be refused from a caller.
func TestCheckIssuers(t *testing.T) {
	t.Parallel()
	for issuers, want := range map[string]bool{"": false, "https://sso.example.com": true} {
		s := newSetUp(t, consolesim.Options{})
		s.args["verify-tokens"], s.args["token-issuers"] = "on", issuers
		code, report, log := s.check()
		if code != 0 || strings.Contains(report, "--verify-tokens: the token of the login would be refused: the console token is not accepted: it is of another issuer") != want {
			t.Errorf("issuers %q: exit status %d, report:\n%s%s", issuers, code, report, log)
		}
	}
}

// TestCheckInvalidSetups verifies that the report names what is wrong, and that it holds no secret.
func TestCheckInvalidSetups(t *testing.T) {
	t.Parallel()
	_, hash := apikey.New()
	const id = "00000000-0000-4000-8000-00000000dead"
	keys := func(key string) string {
		return "accounts: [{name: a, username: u, password: not-to-be-seen}]\nkeys: [{name: k, account: a, hash: \"" + hash + "\"" + key + "}]"
	}
	for name, c := range map[string]struct {
		change func(*setUp)
		want   string
	}{
		"console away":        {func(s *setUp) { s.args["console-url"] = "http://127.0.0.1:1" }, "console: it cannot be reached"},
		"console is a page":   {func(s *setUp) { s.args["console-url"] = s.sim.SSOURL() }, "console: it answers 404 to an invalid token"},
		"console accepts all": {func(s *setUp) { s.front(accepting) }, "console: it answers 200 to an invalid token"},
		"clock": {func(s *setUp) {
			s.front(func(r *http.Response) error {
				r.Header.Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
				return nil
			})
		}, "console: its clock differs by"},
		"a list that fails": {func(s *setUp) {
			s.sim.Fail(e2e.ForPath("/openapi/robots"), consolesim.Fault{Status: 500})
		}, "GET /openapi/robots: it answers 500"},
		"a list that is forbidden": {func(s *setUp) {
			s.sim.Fail(e2e.ForPath("/openapi/queues"), consolesim.Fault{Status: 403})
		}, "GET /openapi/queues: the service account may not read it"},
		"a list of another form": {func(s *setUp) {
			s.sim.Fail(e2e.ForPath("/openapi/packages"), consolesim.Fault{Body: []byte(`<html>`), ContentType: "text/html"})
		}, "GET /openapi/packages: its answer is not the console's list"},
		"Ids":                 {func(s *setUp) { s.args["console-ids"] = "on"; s.front(withoutIDs) }, "GET /openapi/robots: it ignores the parameter Ids"},
		"SSO away":            {func(s *setUp) { s.args["sso-url"] = "http://127.0.0.1:1" }, `SSO: the account "default" cannot log in: connection refused`},
		"SSO fails":           {func(s *setUp) { s.sim.Fail(e2e.ForPath("/connect/token"), consolesim.Fault{Status: 502}) }, "cannot log in: status 502"},
		"password":            {func(s *setUp) { s.args["password"] = "not-to-be-seen" }, "the SSO refuses its user name or password"},
		"password file":       {func(s *setUp) { delete(s.args, "password"); s.args["password-file"] = "/does/not/exist" }, "--password-file: stat /does/not/exist"},
		"empty password file": {func(s *setUp) { delete(s.args, "password"); s.args["password-file"] = s.file("\n") }, "is empty"},
		"company":             {func(s *setUp) { s.args["company-id"] = id }, "--company-id: the service account does not belong to this company"},
		"department":          {func(s *setUp) { s.args["department-id"] = id }, "--department-id: the company has no such department"},
		"no key file":         {func(s *setUp) { s.args["api-keys-file"] = "/does/not/exist" }, "--api-keys-file: stat /does/not/exist"},
		"key file":            {func(s *setUp) { s.args["api-keys-file"] = s.file("keys: [") }, "--api-keys-file: "},
		"field of a key":      {func(s *setUp) { s.args["api-keys-file"] = s.file(keys(", fields: [robotz]")) }, `the schema has no root field "robotz"`},
		"expired key":         {func(s *setUp) { s.args["api-keys-file"] = s.file(keys(`, expires: "2020-01-01T00:00:00Z"`)) }, `keys have expired: ["k"]`},
		"account of a key":    {func(s *setUp) { s.args["api-keys-file"] = s.file(keys("")) }, `the account "a" cannot log in`},
		"token keys":          {func(s *setUp) { s.args["token-keys"] = "not-to-be-seen" }, "--token-keys: "},
		"Redis away":          {func(s *setUp) { s.args["redis-url"] = "redis://127.0.0.1:1" }, "Redis: it does not answer: connection refused"},
		"Redis URL":           {func(s *setUp) { s.args["redis-url"] = "redis://:not-to-be-seen@h/x" }, "--redis-url: "},
		"Redis evicts":        {func(s *setUp) { s.redis("maxmemory-policy", "allkeys-lru") }, "Redis: maxmemory-policy is allkeys-lru"},
		"Redis password":      {func(s *setUp) { s.redis("requirepass", "not-to-be-seen") }, "Redis: it does not answer: it refuses the user or the password"},
		"CA file":             {func(s *setUp) { s.args["console-ca-file"] = s.file("no certificate") }, "holds no certificate"},
		"certificate": {func(s *setUp) {
			s.args["tls-cert-file"], s.args["tls-key-file"] = s.file("no"), s.file("no")
		}, "--tls-cert-file: "},
		"no audit log": {func(s *setUp) { s.args["audit-log"] = "" }, "settings: --audit-log is empty"},
		"audit file":   {func(s *setUp) { s.args["audit-log"] = "/does/not/exist" }, "--audit-log: "},
		"documents":    {func(s *setUp) { s.args["trusted-documents"] = "/does/not/exist.json" }, "--trusted-documents: "},
		"descriptions": {func(s *setUp) { s.agents("no JSON") }, "descriptions.json is no JSON object"},
		"verification": {func(s *setUp) {
			s.args["verify-tokens"], s.args["jwks-url"] = "on", "http://127.0.0.1:1/?t=not-to-be-seen"
		}, "--verify-tokens: the keys of the SSO cannot be read: keys: connection refused"},
		"issuers without verification": {func(s *setUp) { s.args["token-issuers"] = "https://sso.example" }, "settings: --token-issuers and --jwks-url need --verify-tokens=on"},
		"keys without verification":    {func(s *setUp) { s.args["jwks-url"] = "https://sso.example/keys" }, "settings: --token-issuers and --jwks-url need --verify-tokens=on"},
		"no login": {func(s *setUp) {
			s.args["password"] = "not-to-be-seen"
			s.front(func(r *http.Response) error {
				r.Header.Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
				return nil
			})
		}, "console: its clock differs by"},
		"no Redis": {func(s *setUp) {
			s.args["redis-url"] = strings.Replace(s.sim.APIURL(), "http:", "redis:", 1)
		}, "Redis: it does not answer: it does not answer as Redis does"},
		"soon expired": {func(s *setUp) {
			s.args["api-keys-file"] = s.file(keys(`, expires: "` + time.Now().Add(time.Hour).Format(time.RFC3339) + `"`))
		}, `keys expire within a week: ["k"]`},
		"encrypted key": {func(s *setUp) {
			s.args["tls-cert-file"], s.args["tls-key-file"] = s.file("no"), s.file("-----BEGIN ENCRYPTED PRIVATE KEY-----")
		}, "is encrypted with a passphrase"},
		"settings": {func(s *setUp) { s.args["console-timeout"] = "soon" }, "settings: --console-timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSetUp(t, consolesim.Options{})
			c.change(s)
			code, report, log := s.check()
			if code != 1 || !strings.Contains(report, "failure") || !strings.Contains(report, c.want) {
				t.Errorf("exit status %d, report:\n%s%s\nwant %q", code, report, log, c.want)
			}
			for _, secret := range []string{"not-to-be-seen", s.args["password"], hash} {
				if secret != "" && strings.Contains(report+log, secret) {
					t.Errorf("the report holds %q:\n%s%s", secret, report, log)
				}
			}
		})
	}
}

// accepting is a console that checks no tokens.
func accepting(r *http.Response) error {
	r.StatusCode, r.Status, r.Body, r.ContentLength = http.StatusOK, "200 OK", io.NopCloser(strings.NewReader("{}")), 2
	r.Header.Set("Content-Length", "2")
	return nil
}

// withoutIDs answers a request with Ids with two robots.
func withoutIDs(r *http.Response) error {
	if r.Request.URL.Query().Has("Ids") {
		const body = `{"count":2,"list":[{"id":"00000000-0000-4000-8000-000000000001"},{"id":"00000000-0000-4000-8000-000000000002"}]}`
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		r.Header.Del("Content-Length")
		r.Header.Del("Content-Encoding")
	}
	return nil
}

// TestCheckReportsAllFindings verifies that one report has the findings of all parts.
func TestCheckReportsAllFindings(t *testing.T) {
	t.Parallel()
	s := newSetUp(t, consolesim.Options{})
	s.args["max-fields"], s.args["redis-url"], s.args["audit-log"] = "0", "redis://127.0.0.1:1", "/does/not/exist"
	s.sim.Fail(e2e.ForPath("/openapi/robots"), consolesim.Fault{Status: 500})
	code, report, log := s.check()
	for _, want := range []string{"--max-fields must be positive", "Redis: it does not answer", "--audit-log: ", "GET /openapi/robots: it answers 500", "ok       GET /openapi/workflows"} {
		if code != 1 || !strings.Contains(report, want) {
			t.Errorf("exit status %d, no %q in\n%s", code, want, report)
		}
	}
	if !strings.Contains(log, "findings are failures") {
		t.Errorf("said %q", log)
	}
}

// TestCheckDialects verifies that the report accepts every dialect, and names the differences.
func TestCheckDialects(t *testing.T) {
	t.Parallel()
	all := map[string]consolesim.Options{
		"the captured one":     {},
		"GUIDs N":              {Dialect: consolesim.Dialect{GUIDs: consolesim.GUIDDigits}},
		"GUIDs B":              {Dialect: consolesim.Dialect{GUIDs: consolesim.GUIDBraces}},
		"GUIDs D":              {Dialect: consolesim.Dialect{GUIDs: consolesim.GUIDUpper}},
		"a page of 7":          {PageClamp: 7},
		"no Ids":               {NoIDs: true},
		"no associated robots": {NoAssociatedRobotIDs: true},
		"unknown enums":        {UnknownEnums: true},
		"unknown integers":     {UnknownEnums: true, Dialect: consolesim.Dialect{EnumIntegers: true}},
	}
	dialect := reflect.TypeFor[consolesim.Dialect]()
	for field := range dialect.Fields() {
		if field.Type.Kind() == reflect.Bool {
			var d consolesim.Dialect
			reflect.ValueOf(&d).Elem().FieldByIndex(field.Index).SetBool(true)
			all[field.Name] = consolesim.Options{Dialect: d}
		}
	}
	wants := map[string][]string{
		"the captured one":     {"takes the parameter Ids", "the entities have associatedRobotIds", "the entities have eTag", "401, with a problem (RFC 7807)"},
		"a page of 7":          {"a page has at most 7 entities"},
		"no Ids":               {"it ignores the parameter Ids"},
		"no associated robots": {"the entities lack associatedRobotIds"},
		"unknown enums":        {`the document does not list: `, "Quiesced"},
		"unknown integers":     {`the document does not list: `, `"97"`},
		"NoExtraFields":        {"the entities lack eTag", "the entities lack associatedRobotIds"},
		"EmptyRefusals":        {"401, without a body and a challenge"},
	}
	for name, o := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, report, log := newSetUp(t, o).check()
			if code != 0 || strings.Contains(report, "failure") {
				t.Errorf("exit status %d:\n%s%s", code, report, log)
			}
			if !strings.HasPrefix(name, "unknown") && strings.Contains(report, "does not list") {
				t.Errorf("values are not known:\n%s", report)
			}
			for _, want := range wants[name] {
				if !strings.Contains(report, want) {
					t.Errorf("no %q in\n%s", want, report)
				}
			}
		})
	}
}

// TestCheckCreatesNoFile verifies that the file of the audit log is not created: the gateway may run as another user.
func TestCheckCreatesNoFile(t *testing.T) {
	t.Parallel()
	s := newSetUp(t, consolesim.Options{})
	path := filepath.Join(t.TempDir(), "audit.log")
	s.args["audit-log"] = path
	if code, report, _ := s.check(); code != 0 || !strings.Contains(report, "will create the file") {
		t.Errorf("exit status %d\n%s", code, report)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the file was created")
	}
}
