package apikey_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	put(path, fmt.Sprintf(accounts, "u")+entry("other", otherHash)+entry("first", hash))
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
	put(path, fmt.Sprintf(accounts, "u")+entry("other", otherHash))
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, ok := f.Find(key); ok {
		t.Error("a removed key is known")
	}
}
