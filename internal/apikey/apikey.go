// Package apikey maps API keys to principals: a service account and its limits (docs/identity.md).
//
// It stores only the SHA-256 of a key. Unlike passwords, keys are long random texts that nobody can guess from a
// plain hash.
package apikey

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/textfile"
	"github.com/consoleql/consoleql/internal/tokencache"
)

const (
	keyBytes = 32
	// hashPrefix is an optional prefix of a hash.
	hashPrefix = "sha256:"
)

// New generates a key and its hash for the key file.
func New() (key, hash string) {
	random := make([]byte, keyBytes)
	_, _ = rand.Read(random) // never fails
	key = principal.KeyPrefix + base64.RawURLEncoding.EncodeToString(random)
	sum := sha256.Sum256([]byte(key))
	return key, hashPrefix + hex.EncodeToString(sum[:])
}

// Keys holds the API keys of a gateway. It is read-only and safe for concurrent use.
type Keys struct {
	keys     []hashedKey
	accounts map[string]tokencache.Account
	files    []string         // password files
	unread   []unreadPassword // in the order of the file
}

type hashedKey struct {
	hash      [sha256.Size]byte
	principal principal.Principal
	revoke    context.CancelFunc // when the key is removed or changed
}

// Find returns the principal of a key that has not expired. It takes constant time, whether or not the key exists.
func (k *Keys) Find(key string) (principal.Principal, bool) {
	if k == nil {
		return principal.Principal{}, false
	}
	sum := sha256.Sum256([]byte(key))
	found := -1
	for i := range k.keys {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], k.keys[i].hash[:]), i, found)
	}
	if found < 0 {
		return principal.Principal{}, false
	}
	p := k.keys[found].principal
	if at, expires := p.Expires(); expires && !time.Now().Before(at) {
		return principal.Principal{}, false
	}
	return p, true
}

// Len returns the number of keys.
func (k *Keys) Len() int { return len(k.keys) }

// FieldsWithoutTypes returns the names of the keys that limit root fields without limiting types. They can read whatever the
// fields lead to.
func (k *Keys) FieldsWithoutTypes() (names []string) {
	for _, each := range k.keys {
		if l := each.principal.Limits(); l != nil && len(l.Fields) > 0 && len(l.Types) == 0 {
			names = append(names, l.Key)
		}
	}
	return names
}

// Expiring returns the names of the keys that expire before a time.
func (k *Keys) Expiring(before time.Time) (names []string) {
	for _, each := range k.keys {
		if at, expires := each.principal.Expires(); expires && at.Before(before) {
			names = append(names, each.principal.Key())
		}
	}
	return names
}

// Accounts returns the file's service accounts by name.
func (k *Keys) Accounts() map[string]tokencache.Account { return k.accounts }

// file is the content of the key file.
type file struct {
	Accounts []fileAccount `yaml:"accounts"`
	Keys     []fileKey     `yaml:"keys"`
}

type fileAccount struct {
	Name         string `yaml:"name"`
	Username     string `yaml:"username"`
	Password     string `yaml:"password"`
	PasswordFile string `yaml:"passwordFile"`
}

type fileKey struct {
	Name            string      `yaml:"name"`
	Hash            string      `yaml:"hash"`
	Account         string      `yaml:"account"`
	Operations      []string    `yaml:"operations"`
	Fields          []string    `yaml:"fields"`
	Types           []string    `yaml:"types"`
	MaxConsoleCalls int         `yaml:"maxConsoleCalls"`
	Expires         string      `yaml:"expires"`
	Scopes          []fileScope `yaml:"scopes"`
	present         presence
}

type fileScope struct {
	CompanyID     string   `yaml:"companyId"`
	DepartmentIDs []string `yaml:"departmentIds"`
	present       presence
}

// UnmarshalYAML reads a key and records which settings it contains.
func (k *fileKey) UnmarshalYAML(read func(any) error) error {
	type plain fileKey
	return errors.Join(read((*plain)(k)), read(&k.present))
}

// UnmarshalYAML reads a scope and records which settings it contains.
func (s *fileScope) UnmarshalYAML(read func(any) error) error {
	type plain fileScope
	return errors.Join(read((*plain)(s)), read(&s.present))
}

// presence holds the settings that the file contains, null ones included.
type presence map[string]any

// rejectEmpty fails if a setting is present but empty. An omitted list allows everything, which the author of an empty list
// does not mean.
func (p presence) rejectEmpty(names ...string) error {
	var problems []error
	for _, name := range names {
		value, written := p[name]
		if list, ok := value.([]any); written && (value == nil || ok && len(list) == 0) {
			problems = append(problems, fmt.Errorf("%s: it is empty and would allow nothing; leave it out to allow everything", name))
		}
	}
	return errors.Join(problems...)
}

// Options configures the validation of a key file.
type Options struct {
	// Default reports that there is a default service account beside the file's.
	Default bool
	// Fields are the root fields of the schema; empty: any name is valid.
	Fields []string
	// Types are the object types of the schema; empty: any name is valid.
	Types []string
}

// Load reads a key file in YAML or JSON. Its errors give the position and never repeat a password or a hash.
func Load(path string, o Options) (*Keys, error) {
	k, err := read(path, o)
	if err == nil && len(k.unread) > 0 {
		err = fmt.Errorf("%s: %w", path, k.unreadError())
	}
	if err != nil {
		return nil, err
	}
	return k, nil
}

// read is Load. Accounts whose passwords cannot be read have none.
func read(path string, o Options) (*Keys, error) {
	text, err := textfile.Read(path)
	if err != nil {
		return nil, err
	}
	var f file
	decoder := yaml.NewDecoder(strings.NewReader(text), yaml.Strict())
	if err := decoder.Decode(&f); err != nil {
		return nil, fmt.Errorf("%s: %s", path, errorPosition(err))
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: it holds more than one document of YAML", path)
	}
	k, err := o.keys(f, filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// errorPosition returns the position of a syntax error without the file's text. The parser would quote the surrounding lines,
// which may hold passwords.
func errorPosition(err error) string {
	var at yaml.Error
	if !errors.As(err, &at) || at.GetToken() == nil {
		return "it is not YAML of the form that is described"
	}
	pos := at.GetToken().Position
	if _, ok := errors.AsType[*yaml.UnknownFieldError](err); ok {
		return fmt.Sprintf("line %d: there is no setting of that name", pos.Line)
	}
	return fmt.Sprintf("line %d, column %d: it is not YAML of the form that is described", pos.Line, pos.Column)
}

func (o Options) keys(f file, dir string) (*Keys, error) {
	k := &Keys{accounts: make(map[string]tokencache.Account)}
	var problems []error
	for i, a := range f.Accounts {
		if err := k.addAccount(a, dir); err != nil {
			problems = append(problems, fmt.Errorf("accounts, number %d: %w", i+1, err))
			k.accounts[a.Name] = tokencache.Account{} // its keys are no further problems
		}
	}
	if len(f.Keys) == 0 {
		problems = append(problems, errors.New("there are no keys"))
	}
	names := make(map[string]bool)
	for i, key := range f.Keys {
		if err := o.add(k, key, names); err != nil {
			problems = append(problems, fmt.Errorf("keys, number %d: %w", i+1, err))
		}
	}
	return k, errors.Join(problems...)
}

// accountName matches the valid names of a service account, which appear in logs.
func accountName() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`) }

func (k *Keys) addAccount(a fileAccount, dir string) error {
	switch {
	case !accountName().MatchString(a.Name):
		return errors.New("name: 1 to 64 letters, digits, dots, hyphens and underscores")
	case a.Name == principal.DefaultAccount:
		return fmt.Errorf("name: %q is the account of CONSOLEQL_USERNAME", a.Name)
	case a.Username == "":
		return errors.New("username: is missing")
	case (a.Password == "") == (a.PasswordFile == ""):
		return errors.New("give either password or passwordFile")
	}
	if _, twice := k.accounts[a.Name]; twice {
		return fmt.Errorf("name: there are two accounts named %q", a.Name)
	}
	password := a.Password
	if a.PasswordFile != "" {
		path := a.PasswordFile
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		k.files = append(k.files, path)
		var err error
		if password, err = textfile.Secret(path); err != nil {
			k.unread = append(k.unread, unreadPassword{a.Name, fmt.Errorf("accounts, %q: passwordFile: %w", a.Name, err)})
		}
	}
	k.accounts[a.Name] = tokencache.Account{Username: a.Username, Password: password}
	return nil
}

// add adds a key, or returns all of its problems.
func (o Options) add(k *Keys, f fileKey, names map[string]bool) error {
	var problems []error
	complain := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	switch {
	case !accountName().MatchString(f.Name):
		complain("name: 1 to 64 letters, digits, dots, hyphens and underscores")
	case names[f.Name]:
		complain("name: there are two keys named %q", f.Name)
	}
	names[f.Name] = true
	hash, err := hex.DecodeString(strings.TrimPrefix(f.Hash, hashPrefix))
	switch {
	case err != nil || len(hash) != sha256.Size:
		complain("hash: it is not the SHA-256 of a key, 64 hexadecimal digits")
	case slices.ContainsFunc(k.keys, func(other hashedKey) bool { return bytes.Equal(other.hash[:], hash) }):
		complain("hash: another key has the same")
	}
	account := f.Account
	if account == "" {
		account = principal.DefaultAccount
	}
	if _, ok := k.accounts[account]; !ok && (account != principal.DefaultAccount || !o.Default) {
		complain("account: there is no service account %q", account)
	}
	limits, err := o.limits(f)
	if err != nil {
		problems = append(problems, err)
	}
	expires, err := f.expiry()
	if err != nil {
		problems = append(problems, err)
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	revoked, revoke := context.WithCancel(context.Background()) //nolint:gosec // copyPrincipals returns it
	k.keys = append(k.keys, hashedKey{
		hash: [sha256.Size]byte(hash), principal: principal.ForAccount(account, limits).WithKey(f.Name).WithEnd(expires, revoked), revoke: revoke,
	})
	return nil
}
