package apikey

import (
	"fmt"
	"reflect"
	"sync/atomic"

	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/tokencache"
)

// File is a file of keys that can be read again. Its methods but Reload are safe for
// concurrent use.
type File struct {
	path      string
	opts      Options
	keys      atomic.Pointer[Keys]
	usernames map[string]string // by account, of all that there ever were
}

// Open reads a file of keys; see Load.
func Open(path string, o Options) (*File, error) {
	f := &File{path: path, opts: o, usernames: make(map[string]string)}
	return f, f.Reload()
}

// Reload reads the file again. Where it fails, the keys stay as they are. Keys that did not
// change keep their principals. An account must not change its user: what was cached for
// one user would be answered to another.
func (f *File) Reload() error {
	next, err := Load(f.path, f.opts)
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
	next.keep(f.keys.Load())
	f.keys.Store(next)
	return nil
}

// keep gives keys that did not change the principals that they had.
func (k *Keys) keep(before *Keys) {
	if before == nil {
		return
	}
	principals := make(map[[32]byte]principal.Principal, len(before.keys))
	for _, b := range before.keys {
		principals[b.hash] = b.principal
	}
	for i := range k.keys {
		p := &k.keys[i].principal
		if b, ok := principals[k.keys[i].hash]; ok && b.Account() == p.Account() && reflect.DeepEqual(b.Limits(), p.Limits()) {
			*p = b
		}
	}
}

// Find is the principal that the holder of a key acts as; see Keys.Find.
func (f *File) Find(key string) (principal.Principal, bool) { return f.keys.Load().Find(key) }

// Len is how many keys there are.
func (f *File) Len() int { return f.keys.Load().Len() }

// FieldsAlone are the names of the keys that limit root fields without limiting types.
func (f *File) FieldsAlone() []string { return f.keys.Load().FieldsAlone() }

// Accounts are the service accounts that the file describes, by name.
func (f *File) Accounts() map[string]tokencache.Account { return f.keys.Load().Accounts() }

// Paths are the file itself and those of passwords that it names.
func (f *File) Paths() []string { return append([]string{f.path}, f.keys.Load().files...) }
