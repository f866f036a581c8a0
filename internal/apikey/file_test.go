package apikey_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/apikey"
)

// TestReload: unchanged keys keep their principals, new keys are found and removed keys are not. An invalid file
// changes nothing.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	path, secret := filepath.Join(dir, "keys.yaml"), filepath.Join(dir, "secret")
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key, hash := apikey.New()
	other, otherHash := apikey.New()
	const accounts = "accounts: [{name: a, username: %s, passwordFile: secret}]\nkeys:\n"
	entry := func(name, hash string) string {
		return fmt.Sprintf("- {name: %s, hash: \"%s\", account: a, operations: [query]}\n", name, hash)
	}
	put(secret, "\ufeffone\n")
	put(path, "\ufeff"+fmt.Sprintf(accounts, "u")+entry("first", hash))
	f, err := apikey.Open(path, apikey.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if paths := f.Paths(); len(paths) != 2 || paths[1] != secret || f.Accounts()["a"].Password != "one" {
		t.Errorf("files %v", paths)
	}
	before, _ := f.Find(key)

	put(secret, "two")
	put(path, fmt.Sprintf(accounts, "u")+entry("another", otherHash)+entry("first", hash))
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	if after, ok := f.Find(key); !ok || after != before || f.Accounts()["a"].Password != "two" {
		t.Errorf("the key is another principal: %v", after)
	}
	if _, ok := f.Find(other); !ok {
		t.Error("the new key is not known")
	}
	for name, text := range map[string]string{
		"no YAML":      "accounts: [",
		"no keys":      fmt.Sprintf(accounts, "u"),
		"another user": fmt.Sprintf(accounts, "v") + entry("first", hash),
		"UTF-16":       "\xff\xfea\x00",
		"two of them":  fmt.Sprintf(accounts, "u") + entry("first", hash) + "---\nkeys: []\n",
		"empty":        "",
	} {
		put(path, text)
		if err := f.Reload(); err == nil || strings.Contains(err.Error(), "two") {
			t.Errorf("%s: %v", name, err)
		}
		if _, ok := f.Find(other); !ok || f.Len() != 2 {
			t.Errorf("%s: the keys have changed", name)
		}
	}
	put(path, fmt.Sprintf(accounts, "u")+entry("another", otherHash))
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, ok := f.Find(key); ok {
		t.Error("a removed key is known")
	}
}

// TestUnreadablePassword verifies that a key is revoked although a password file is missing, and that the account
// keeps its password. The file is refused at the start.
func TestUnreadablePassword(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, secret := filepath.Join(dir, "keys.yaml"), filepath.Join(dir, "secret")
	key, hash := apikey.New()
	other, otherHash := apikey.New()
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(secret, "one")
	put(path, "accounts: [{name: a, username: u, passwordFile: secret}]\nkeys: [{name: first, hash: \""+hash+"\", account: a}]")
	f, err := apikey.Open(path, apikey.Options{})
	if err != nil {
		t.Fatal(err)
	}
	put(secret, "")
	put(path, `accounts: [{name: a, username: u, passwordFile: secret}, {name: b, username: v, passwordFile: absent}]
keys: [{name: another, hash: "`+otherHash+`", account: a}, {name: third, hash: "`+strings.Repeat("0", 64)+`", account: b}]`)
	var problem *apikey.PasswordError
	if err := f.Reload(); !errors.As(err, &problem) || !strings.Contains(err.Error(), `"a": passwordFile`) || !strings.Contains(err.Error(), `"b": passwordFile`) {
		t.Errorf("got %v", err)
	}
	if _, ok := f.Find(key); ok {
		t.Error("the revoked key is known")
	}
	if _, ok := f.Find(other); !ok || len(f.Accounts()) != 1 || f.Accounts()["a"].Password != "one" {
		t.Errorf("accounts %v", len(f.Accounts()))
	}
	if _, err := apikey.Open(path, apikey.Options{}); err == nil {
		t.Error("such a file is opened")
	}
}

// TestRevocation verifies which keys of a changed file are revoked: those that are removed or permit something else.
func TestRevocation(t *testing.T) {
	t.Parallel()
	key, hash := apikey.New()
	_, otherHash := apikey.New()
	other := `{name: another, hash: "` + otherHash + `", account: a}`
	first := func(members string) string { return `{name: first, hash: "` + hash + `", account: a` + members + `}` }
	for name, tt := range map[string]struct {
		before, after string
		revoked       bool
	}{
		"unchanged":                 {first(""), first(""), false},
		"another order of members":  {first(", operations: [query], maxConsoleCalls: 3"), first(", maxConsoleCalls: 3, operations: [query]"), false},
		"removed":                   {first(""), "", true},
		"other operations":          {first(", operations: [query]"), first(", operations: [query, subscription]"), true},
		"another name":              {first(""), strings.Replace(first(""), "first", "second", 1), true},
		"an end":                    {first(""), first(`, expires: "2999-01-01T00:00:00Z"`), true},
		"the same end":              {first(`, expires: "2999-01-01T00:00:00Z"`), first(`, expires: "2999-01-01T08:00:00+08:00"`), false},
		"another key is added":      {first(""), first("") + ", " + other, false},
		"another key is taken away": {first("") + ", " + other, first(""), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "keys.yaml")
			put := func(keys string) {
				t.Helper()
				if keys == "" {
					keys = other
				}
				text := "accounts: [{name: a, username: u, password: p}]\nkeys: [" + keys + "]\n"
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			put(tt.before)
			f, err := apikey.Open(path, apikey.Options{})
			if err != nil {
				t.Fatal(err)
			}
			p, ok := f.Find(key)
			if !ok {
				t.Fatal("the key is not known")
			}
			put(tt.after)
			if err := f.Reload(); err != nil {
				t.Fatal(err)
			}
			revoked := false
			select {
			case <-p.Revoked().Done():
				revoked = true
			default:
			}
			if revoked != tt.revoked {
				t.Errorf("revoked: %v", revoked)
			}
			if again, found := f.Find(key); found && !tt.revoked && again != p {
				t.Error("the principal is another")
			}
		})
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		expires string // as YAML
		valid   bool
		refused bool
	}{
		"future":           {"2999-01-01T00:00:00Z", true, false},
		"with an offset":   {`"2999-01-01T00:00:00+08:00"`, true, false},
		"past":             {"2001-01-01T00:00:00Z", false, false},
		"a day":            {"2999-01-01", false, true},
		"without offset":   {"2999-01-01T00:00:00", false, true},
		"nothing":          {"", false, true},
		"null":             {"null", false, true},
		"a number":         {"1", false, true},
		"a text":           {"soon", false, true},
		"an empty text":    {`""`, false, true},
		"a list":           {"[2999-01-01T00:00:00Z]", false, true},
		"seconds too many": {"2999-01-01T00:00:61Z", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, hash := apikey.New()
			path := filepath.Join(t.TempDir(), "keys.yaml")
			text := "accounts: [{name: a, username: u, password: p}]\nkeys:\n- name: first\n  hash: \"" + hash + "\"\n  account: a\n  expires: " + tt.expires + "\n"
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := apikey.Open(path, apikey.Options{})
			if refused := err != nil; refused != tt.refused {
				t.Fatalf("refused: %v", err)
			}
			if tt.refused {
				return
			}
			if _, ok := f.Find(key); ok != tt.valid {
				t.Errorf("valid: %v", ok)
			}
			if soon := f.Expiring(time.Now()); (len(soon) == 1) == tt.valid {
				t.Errorf("expired: %q", soon)
			}
		})
	}
}
