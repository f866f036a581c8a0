package apikey_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/apikey"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
	"github.com/consoleql/consoleql/internal/tokencache"
)

const (
	company = "11111111-1111-4111-8111-1111111111aa"
	dept    = "33333333-3333-4333-8333-3333333333cc"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestKeys(t *testing.T) {
	plain, plainHash := apikey.New()
	narrow, narrowHash := apikey.New()
	byDefault, defaultHash := apikey.New()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"password": "from-file\n",
		"keys.yaml": fmt.Sprintf(`
accounts:
  - name: dash
    username: svc-dash
    passwordFile: password
  - {name: ops, username: svc-ops, password: inline}
keys:
  - {name: plain, hash: %q, account: dash}
  - name: narrow
    hash: %s
    account: ops
    operations: [query]
    fields: [robots]
    scopes:
      - companyId: %s
        departmentIds: [%s]
  - {name: default, hash: %q}
`, plainHash, strings.TrimPrefix(narrowHash, "sha256:"), strings.ToUpper(company), dept, defaultHash),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := apikey.Load(filepath.Join(dir, "keys.yaml"), apikey.Options{Default: true, Fields: []string{"robots"}})
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := keys.Find(plain); !ok || p.WithEnd(time.Time{}, nil) != principal.ForAccount("dash", nil).WithKey("plain") {
		t.Errorf("plain: %v, %v", p, ok)
	}
	if p, ok := keys.Find(byDefault); !ok || p.WithEnd(time.Time{}, nil) != principal.DefaultService().WithKey("default") {
		t.Errorf("default: %v, %v", p, ok)
	}
	p, ok := keys.Find(narrow)
	if !ok || p.Account() != "ops" || p.Limits().CheckField("query", "robots") != nil || p.Limits().CheckField("mutation", "robots") == nil {
		t.Errorf("narrow: %v, %v", p, ok)
	}
	if p.Limits().OnlyScope() != (scope.Scope{CompanyID: company, DepartmentID: dept}) {
		t.Errorf("narrow: scope %+v", p.Limits().OnlyScope())
	}
	if a := keys.Accounts(); len(a) != 2 || a["dash"] != (tokencache.Account{Username: "svc-dash", Password: "from-file"}) || a["ops"].Password != "inline" {
		t.Error("the accounts are not the file's")
	}
	if keys.Len() != 3 {
		t.Errorf("%d keys", keys.Len())
	}
	for _, no := range []string{"", "x", plain + "x", plain[1:], plainHash, strings.TrimPrefix(plainHash, "sha256:"), " " + plain} {
		if p, ok := keys.Find(no); ok {
			t.Errorf("%.8q… is taken for a key of %v", no, p)
		}
	}
	var none *apikey.Keys
	if _, ok := none.Find(plain); ok {
		t.Error("no keys know a key")
	}
}

func TestNewKeysMatchHashes(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		key, hash := apikey.New()
		sum := sha256.Sum256([]byte(key))
		if hash != "sha256:"+hex.EncodeToString(sum[:]) || len(key) < 40 || seen[key] {
			t.Fatal("a key is odd")
		}
		seen[key] = true
	}
}

func TestInvalidFiles(t *testing.T) {
	_, hash := apikey.New()
	const secret = "s3cret-password"
	account := "accounts: [{name: a, username: u, password: " + secret + "}]\n"
	key := "{name: k, account: a, hash: '" + hash + "'}"
	for name, tt := range map[string]struct{ text, says string }{
		"empty":                    {"", "not YAML of the form"},
		"no keys":                  {account, "no keys"},
		"no YAML":                  {account + "keys: [{", "not YAML"},
		"unknown setting":          {account + "keyz: []", "line 2: there is no setting"},
		"unknown in a key":         {account + "keys:\n  - {name: k, hsah: x}", "line 3: there is no setting"},
		"twice":                    {account + account, "line 2, column 1: it is not YAML"},
		"a number for a list":      {account + "keys: 7", "line 2"},
		"no hash":                  {account + "keys: [{name: k, account: a}]", "keys, number 1: hash"},
		"short hash":               {account + "keys: [{name: k, account: a, hash: abcd}]", "keys, number 1: hash"},
		"a key for a hash":         {account + "keys: [{name: k, account: a, hash: cqk_AAAA}]", "hash: it is not the SHA-256"},
		"the same hash":            {account + "keys: [" + key + ", " + strings.Replace(key, "name: k", "name: l", 1) + "]", "number 2: hash: another"},
		"the same name":            {account + "keys: [" + key + ", " + key + "]", "two keys named"},
		"no name":                  {account + "keys: [{account: a, hash: '" + hash + "'}]", "name:"},
		"unknown account":          {account + "keys: [" + strings.Replace(key, "account: a", "account: b", 1) + "]", `no service account "b"`},
		"no default account":       {account + "keys: [{name: k, hash: '" + hash + "'}]", `no service account "default"`},
		"the default redefined":    {"accounts: [{name: default, username: u, password: " + secret + "}]\nkeys: [" + key + "]", "CONSOLEQL_USERNAME"},
		"account twice":            {"accounts: [{name: a, username: u, password: " + secret + "}, {name: a, username: v, password: x}]\nkeys: [" + key + "]", "two accounts"},
		"no username":              {"accounts: [{name: a, password: " + secret + "}]\nkeys: [" + key + "]", "username"},
		"no password":              {"accounts: [{name: a, username: u}]\nkeys: [" + key + "]", "either password"},
		"two passwords":            {"accounts: [{name: a, username: u, password: " + secret + ", passwordFile: x}]\nkeys: [" + key + "]", "either password"},
		"missing password file":    {"accounts: [{name: a, username: u, passwordFile: nowhere}]\nkeys: [" + key + "]", "passwordFile"},
		"a space in a name":        {"accounts: [{name: 'a b', username: u, password: " + secret + "}]\nkeys: [" + key + "]", "name:"},
		"unknown operation":        {account + "keys: [" + strings.Replace(key, "}", ", operations: [read]}", 1) + "]", `"read" is none of`},
		"unknown field":            {account + "keys: [" + strings.Replace(key, "}", ", fields: [robotz]}", 1) + "]", `no root field "robotz"`},
		"unknown type":             {account + "keys: [" + strings.Replace(key, "}", ", types: [Robot, Robots]}", 1) + "]", `no object type "Robots"`},
		"a type in lower case":     {account + "keys: [" + strings.Replace(key, "}", ", types: [robot]}", 1) + "]", `no object type "robot"`},
		"a type that is null":      {account + "keys: [" + strings.Replace(key, "}", ", types: [null]}", 1) + "]", `no object type ""`},
		"no types":                 {account + "keys: [" + strings.Replace(key, "}", ", types: []}", 1) + "]", "number 1: types: it is empty"},
		"null for types":           {account + "keys: [" + strings.Replace(key, "}", ", types: }", 1) + "]", "number 1: types: it is empty"},
		"no calls":                 {account + "keys: [" + strings.Replace(key, "}", ", maxConsoleCalls: 0}", 1) + "]", "number 1: maxConsoleCalls: it is not a whole number above 0"},
		"less than no calls":       {account + "keys: [" + strings.Replace(key, "}", ", maxConsoleCalls: -5}", 1) + "]", "number 1: maxConsoleCalls: it is not a whole number above 0"},
		"null for calls":           {account + "keys: [" + strings.Replace(key, "}", ", maxConsoleCalls: null}", 1) + "]", "number 1: maxConsoleCalls: it is not a whole number above 0"},
		"a text for calls":         {account + "keys: [" + strings.Replace(key, "}", ", maxConsoleCalls: many}", 1) + "]", "line 2, column"},
		"a fraction of a call":     {account + "keys: [" + strings.Replace(key, "}", ", maxConsoleCalls: 1.5}", 1) + "]", "maxConsoleCalls: it is not a whole number above 0"},
		"company is no GUID":       {account + "keys: [" + strings.Replace(key, "}", ", scopes: [{companyId: acme}]}", 1) + "]", "companyId"},
		"department is no GUID":    {account + "keys: [" + strings.Replace(key, "}", ", scopes: [{companyId: "+company+", departmentIds: [x]}]}", 1) + "]", "departmentIds"},
		"no operations":            {account + "keys: [" + strings.Replace(key, "}", ", operations: []}", 1) + "]", "number 1: operations: it is empty"},
		"null for fields":          {account + "keys: [" + strings.Replace(key, "}", ", fields: null}", 1) + "]", "number 1: fields: it is empty"},
		"nothing after scopes":     {account + "keys:\n- name: k\n  account: a\n  scopes:\n  hash: '" + hash + "'\n", "number 1: scopes: it is empty"},
		"no departments":           {account + "keys: [" + strings.Replace(key, "}", ", scopes: [{companyId: "+company+", departmentIds: []}]}", 1) + "]", "scopes, number 1: departmentIds: it is empty"},
		"unknown in a scope":       {account + "keys: [" + strings.Replace(key, "}", ", scopes: [{company: "+company+"}]}", 1) + "]", "line 2: there is no setting"},
		"a department, no company": {account + "keys: [" + strings.Replace(key, "}", ", scopes: [{departmentIds: ["+dept+"]}]}", 1) + "]", "companyId"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := apikey.Load(write(t, "keys.yaml", tt.text), apikey.Options{Fields: []string{"robots"}, Types: []string{"Robot"}})
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("said %v, want %q", err, tt.says)
			}
			if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), hash) {
				t.Errorf("the error repeats a secret: %v", err)
			}
		})
	}
	if _, err := apikey.Load(filepath.Join(t.TempDir(), "nowhere"), apikey.Options{}); err == nil {
		t.Error("a file that does not exist was read")
	}
	if _, err := apikey.Load(write(t, "keys.yaml", strings.Repeat("#", 9<<20)), apikey.Options{}); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("a file that is too large: %v", err)
	}
}

func TestJSONFiles(t *testing.T) {
	key, hash := apikey.New()
	text := `{"accounts": [{"name": "a", "username": "u", "password": "p"}], "keys": [{"name": "k", "hash": "` + hash + `", "account": "a"}]}`
	keys, err := apikey.Load(write(t, "keys.json", text), apikey.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := keys.Find(key); !ok {
		t.Error("the key is not found")
	}
}

// TestProblemsAreReportedTogether: the error lists every invalid entry in the order of the file.
func TestProblemsAreReportedTogether(t *testing.T) {
	_, first := apikey.New()
	_, second := apikey.New()
	text := "accounts: [{name: a, username: u, password: p}, {name: b, password: p}, {name: c, username: u}]\nkeys:\n" +
		"- {name: k, account: a, hash: '" + first + "', operations: [read], fields: [robotz, robots], types: [Robots, Robot, Queu]}\n" +
		"- {name: l, account: a, hash: '" + second + "', types: [workflow]}\n" +
		"- {name: l, account: d, hash: '" + first[:20] + "', fields: [], types: [robot], maxConsoleCalls: 0, scopes: [{companyId: x}], expires: soon}\n" +
		"- {name: m, account: b}\n"
	_, err := apikey.Load(write(t, "keys.yaml", text), apikey.Options{Fields: []string{"robots"}, Types: []string{"Robot"}})
	if err == nil {
		t.Fatal("the file was read")
	}
	rest := err.Error()
	for _, says := range []string{
		"accounts, number 2: username", "accounts, number 3: give either", "keys, number 1", `"read"`, `"robotz"`, `"Robots"`, `"Queu"`, "number 2", `"workflow"`,
		"number 3", `two keys named "l"`, "hash: it is not", `account "d"`, "fields: it is empty", "maxConsoleCalls", `"robot"`, "companyId", "expires", "number 4", "hash",
	} {
		var found bool
		if _, rest, found = strings.Cut(rest, says); !found {
			t.Errorf("%s is missing, or not in its order: %v", says, err)
		}
	}
	if strings.Contains(err.Error(), `account "b"`) {
		t.Errorf("an account with a problem is taken for an unknown one: %v", err)
	}
}

func TestTypesAndCalls(t *testing.T) {
	var texts []string
	var shown []string
	for i, limits := range []string{", fields: [robots]", ", fields: [robots], types: [Robot]", ", types: [Robot, Queue]", ", maxConsoleCalls: 7", ""} {
		key, hash := apikey.New()
		shown = append(shown, key)
		texts = append(texts, fmt.Sprintf("{name: k%d, account: a, hash: '%s'%s}", i, hash, limits))
	}
	keys, err := apikey.Load(write(t, "keys.yaml", "accounts: [{name: a, username: u, password: p}]\nkeys: ["+strings.Join(texts, ", ")+"]"), apikey.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if alone := fmt.Sprint(keys.FieldsWithoutTypes()); alone != "[k0]" {
		t.Errorf("fields alone: %s", alone)
	}
	for i, want := range []struct {
		robot, queue bool
		calls        int
	}{{true, true, 0}, {true, false, 0}, {true, true, 0}, {true, true, 7}} {
		p, _ := keys.Find(shown[i])
		l := p.Limits()
		if l == nil || l.Key != fmt.Sprint("k", i) || l.ConsoleCalls != want.calls {
			t.Fatalf("%d: %+v", i, l)
		}
		if l.CheckType("Robot") == nil != want.robot || l.CheckType("Queue") == nil != want.queue {
			t.Errorf("%d: it reads a robot: %v, a queue: %v", i, l.CheckType("Robot"), l.CheckType("Queue"))
		}
	}
	if p, _ := keys.Find(shown[4]); p.Limits() != nil {
		t.Errorf("a key without limits has %+v", p.Limits())
	}
}
