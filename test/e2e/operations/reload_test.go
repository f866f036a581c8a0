package operations

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestPasswordChange changes a password at the console. All replicas together try the
// old one once, also after restarts. They use the new one as soon as the file contains it.
func TestPasswordChange(t *testing.T) {
	t.Parallel()
	sim := e2e.NewSim(t, consolesim.Options{TokenLifetime: 2 * time.Second})
	username, right := sim.DefaultUser()
	file := filepath.Join(t.TempDir(), "password")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("the-old-one\n")
	store := redistest.Start(t)
	env := []string{
		e2e.TokenKeys, "CONSOLEQL_USERNAME=" + username, "CONSOLEQL_PASSWORD=", "CONSOLEQL_PASSWORD_FILE=" + file,
		"CONSOLEQL_ANONYMOUS=true", "CONSOLEQL_COMPANY_ID=" + sim.Data().MainCompanyID(), "CONSOLEQL_DEPARTMENT_ID=" + sim.Data().MainDepartmentID(),
	}
	start := func() *e2e.Process { return e2e.NewProcess(t, sim, store.URL(), env...) }
	replicas := []*e2e.Process{start(), start(), start()}
	code := func(p *e2e.Process) string {
		if a := p.Ask(`{ viewer { userName } }`, e2e.Request{}); len(a.Errors) > 0 {
			return a.Errors[0].Extensions.Code
		}
		return ""
	}
	for range 20 {
		for _, p := range replicas {
			if got := code(p); got != "UNAUTHENTICATED" {
				t.Fatalf("got %q", got)
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	if got := code(start()); got != "UNAUTHENTICATED" {
		t.Errorf("got %q", got)
	}
	if n := len(sim.Grants()); n != 1 {
		t.Errorf("the refused password was tried %d times", n)
	}
	put("\ufeff" + right + "\r\n")
	if err := replicas[0].Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for _, p := range replicas {
		e2e.Await(t, "the new password", func() bool { return code(p) == "" })
	}
}

// TestHangupEndsNoProcess verifies that SIGHUP ends neither a gateway nor a simulated console.
func TestHangupEndsNoProcess(t *testing.T) {
	t.Parallel()
	sim := e2e.NewSim(t, consolesim.Options{})
	p := e2e.NewProcess(t, sim, "")
	for range 3 {
		if err := p.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if a := p.Ask(`{ __typename }`, e2e.Request{}); len(a.Errors) > 0 {
			t.Errorf("answered %s", a.Body)
		}
	}
}

// TestAPIKeyReload verifies that a new key works while the gateway runs, and that an invalid
// file changes nothing.
func TestAPIKeyReload(t *testing.T) {
	t.Parallel()
	k := &e2e.Keyring{T: t}
	var first map[string]string
	var path string
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous, func(s *gateway.Settings, sim *consolesim.Server) {
		k.Account("owner", sim.Data().Users()[0])
		first = k.Key("first", "owner", "")
		path = k.Write()
		s.APIKeysFile = path
	})
	ok := func(header map[string]string) bool {
		a := w.Ask(`{ viewer { userName } }`, e2e.Request{Header: header})
		return a.Status == 200 && len(a.Errors) == 0
	}
	if !ok(first) {
		t.Fatal("the first key is not known")
	}
	replace := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	second := k.Key("second", "owner", "")
	with2, err := os.ReadFile(k.Write())
	if err != nil {
		t.Fatal(err)
	}
	replace(with2)
	e2e.Await(t, "the second key", func() bool { return ok(second) })
	replace([]byte("accounts: ["))
	e2e.Await(t, "the refusal", func() bool { return strings.Contains(w.Logs.String(), "cannot be used") })
	if !ok(first) || !ok(second) {
		t.Error("a file that cannot be used has changed the keys")
	}
}

// TestTokenKeyReload verifies that the newest key encrypts new sessions and older keys open
// existing ones, and that an invalid file changes nothing.
func TestTokenKeyReload(t *testing.T) {
	t.Parallel()
	sim := e2e.NewSim(t, consolesim.Options{})
	oldKey, newKey := strings.Repeat("11", 32), strings.Repeat("22", 32)
	file := filepath.Join(t.TempDir(), "token-keys")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(oldKey)
	store := redistest.Start(t)
	p := e2e.NewProcess(t, sim, store.URL(), "CONSOLEQL_TOKEN_KEYS_FILE="+file)
	// The other replica has only the new key, and therefore knows only the sessions encrypted
	// with it.
	other := e2e.NewProcess(t, sim, store.URL(), "CONSOLEQL_TOKEN_KEYS="+newKey)
	knows := func(p *e2e.Process, session map[string]string) bool {
		a := p.Ask(`{ viewer { userName } }`, e2e.Request{Header: session})
		return a.Status == 200 && len(a.Errors) == 0
	}
	user := sim.Data().Users()[0]
	before := p.SignIn(user)
	if !knows(p, before) || knows(other, before) {
		t.Fatal("a session is not encrypted with the key of the file")
	}
	put("\ufeff" + newKey + "\r\n" + oldKey + "\r\n")
	var after map[string]string
	e2e.Await(t, "a session that the new key encrypts", func() bool {
		after = p.SignIn(user)
		return knows(other, after)
	})
	put(newKey[1:])
	e2e.Await(t, "the refusal", func() bool { return strings.Contains(p.Log.String(), "cannot be used") })
	if strings.Contains(p.Log.String(), newKey[1:]) {
		t.Error("the log holds a key")
	}
	if !knows(p, before) || !knows(p, after) {
		t.Error("a session ended with a change of the keys")
	}
}
