package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/consoleql/consoleql/internal/apikey"
	"github.com/consoleql/consoleql/internal/consolesim"
)

// Keyring builds a file of API keys.
type Keyring struct {
	T        testing.TB
	accounts string
	Keys     string
}

// Account adds a service account.
func (k *Keyring) Account(name string, u consolesim.User) {
	k.accounts += fmt.Sprintf("  - {name: %s, username: %q, password: %q}\n", name, u.Username, u.Password)
}

// Key adds a key with limits, in the file's syntax, and returns the header that presents it.
func (k *Keyring) Key(name, account, limits string) map[string]string {
	key, hash := apikey.New()
	k.Keys += fmt.Sprintf("  - {name: %s, account: %s, hash: %q%s}\n", name, account, hash, limits)
	return map[string]string{"X-Api-Key": key}
}

// Write writes the file and returns its path.
func (k *Keyring) Write() string {
	k.T.Helper()
	path := filepath.Join(k.T.TempDir(), "keys.yaml")
	if err := os.WriteFile(path, []byte("accounts:\n"+k.accounts+"keys:\n"+k.Keys), 0o600); err != nil {
		k.T.Fatal(err)
	}
	return path
}
