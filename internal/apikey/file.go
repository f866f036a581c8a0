package apikey

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/tokencache"
)

// File is a key file that can be reloaded. All methods except Reload are safe for concurrent use.
type File struct {
	path      string
	opts      Options
	keys      atomic.Pointer[Keys]
	usernames map[string]string // by account, including removed accounts
}

// Open reads a key file; see Load.
func Open(path string, o Options) (*File, error) {
	f := &File{path: path, opts: o, usernames: make(map[string]string)}
	if err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Reload reads the file again. If it fails, the present keys stay in force. Unchanged keys keep their principals. The
// principals of removed and changed keys are revoked. An account must not change its user, because the caches of one
// user would serve the other.
//
// An account whose password cannot be read keeps its present one. The keys are in force nevertheless, so that a password
// file does not keep a revoked key alive. The error is a *PasswordError then.
func (f *File) Reload() error {
	next, err := read(f.path, f.opts)
	if err != nil {
		return err
	}
	for name, a := range next.accounts {
		if before, known := f.usernames[name]; known && before != a.Username {
			return fmt.Errorf("%s: accounts: the user name of %q has changed: give the account of another user another name", f.path, name)
		}
	}
	for name, a := range next.accounts {
		f.usernames[name] = a.Username
	}
	problem := next.copyPasswords(f.keys.Load())
	ended := next.copyPrincipals(f.keys.Load())
	f.keys.Store(next)
	for _, revoke := range ended {
		revoke()
	}
	return problem
}

// unreadPassword tells why the password of an account cannot be read.
type unreadPassword struct {
	account string
	err     error
}

// unreadError returns the errors of all passwords that cannot be read.
func (k *Keys) unreadError() error {
	all := make([]error, len(k.unread))
	for i, u := range k.unread {
		all[i] = u.err
	}
	return errors.Join(all...)
}

// PasswordError tells that the keys are in force, and that passwords of accounts cannot be read.
type PasswordError struct{ Err error }

// Error implements error.
func (e *PasswordError) Error() string { return e.Err.Error() }

// Unwrap returns the causes.
func (e *PasswordError) Unwrap() error { return e.Err }

// copyPasswords copies passwords that cannot be read from before. Accounts that have none are left out, and with them
// their keys log nobody in.
func (k *Keys) copyPasswords(before *Keys) error {
	for _, u := range k.unread {
		delete(k.accounts, u.account)
		if before != nil {
			if old, ok := before.accounts[u.account]; ok {
				k.accounts[u.account] = old
			}
		}
	}
	if len(k.unread) == 0 {
		return nil
	}
	return &PasswordError{k.unreadError()}
}

// copyPrincipals copies the principals of unchanged keys from before. It returns functions that revoke the other
// principals of before.
func (k *Keys) copyPrincipals(before *Keys) (ended []context.CancelFunc) {
	if before == nil {
		return nil
	}
	present := make(map[[32]byte]int, len(k.keys))
	for i := range k.keys {
		present[k.keys[i].hash] = i
	}
	for _, b := range before.keys {
		if i, ok := present[b.hash]; ok && samePermissions(b.principal, k.keys[i].principal) {
			k.keys[i] = b
			continue
		}
		ended = append(ended, b.revoke)
	}
	return ended
}

// samePermissions reports whether two keys with the same text permit the same.
func samePermissions(a, b principal.Principal) bool {
	until, expires := a.Expires()
	other, otherExpires := b.Expires()
	return a.Account() == b.Account() && a.Caller() == b.Caller() && reflect.DeepEqual(a.Limits(), b.Limits()) &&
		expires == otherExpires && until.Equal(other)
}

// Find returns the principal of a key; see Keys.Find.
func (f *File) Find(key string) (principal.Principal, bool) { return f.keys.Load().Find(key) }

// Len returns the number of keys.
func (f *File) Len() int { return f.keys.Load().Len() }

// FieldsWithoutTypes returns the names of the keys that limit root fields without limiting types.
func (f *File) FieldsWithoutTypes() []string { return f.keys.Load().FieldsWithoutTypes() }

// Expiring returns the names of the keys that expire before a time.
func (f *File) Expiring(before time.Time) []string { return f.keys.Load().Expiring(before) }

// Accounts returns the file's service accounts by name.
func (f *File) Accounts() map[string]tokencache.Account { return f.keys.Load().Accounts() }

// Paths returns the paths of the key file and its password files.
func (f *File) Paths() []string { return append([]string{f.path}, f.keys.Load().files...) }
