package identity

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

// leaks returns the text before each occurrence of a secret, in plain or reversibly encoded
// form. It never returns the secret.
func leaks(outputs map[string]string, secrets []string) []string {
	var found []string
	for _, secret := range secrets {
		forms := []string{
			secret, url.QueryEscape(secret), hex.EncodeToString([]byte(secret)),
			base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
		}
		for name, text := range outputs {
			for _, form := range forms {
				if at := strings.Index(text, form); at >= 0 {
					found = append(found, fmt.Sprintf("%s: …%s…", name, strings.ReplaceAll(text[max(0, at-120):at], "\n", " ")))
					break
				}
			}
		}
	}
	return found
}

// TestLeaksAreFound is the control: it verifies that every kind of secret is found in every
// kind of place.
func TestLeaksAreFound(t *testing.T) {
	t.Parallel()
	store := redistest.Start(t)
	o, err := redis.ParseURL(store.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(o)
	defer func() { _ = client.Close() }()
	const inName, inValue, inLog, inBase64 = "secret-in-a-name", "secret-in-a-value", "secret-in-the-log", "secret-in-base64"
	if err := client.HSet(t.Context(), inName, "field", inValue).Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.Set(t.Context(), "k", base64.StdEncoding.EncodeToString([]byte(inBase64)), time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.Expire(t.Context(), inName, time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	logs := &e2e.LockedBuffer{}
	slog.New(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug})).Debug("a call", "token", inLog)
	outputs := map[string]string{"Redis": redisDump(t, store), "logs": logs.String()}
	secrets := []string{inName, inValue, inLog, inBase64}
	if found := leaks(outputs, secrets); len(found) != len(secrets) {
		t.Errorf("of %d secrets %d are found: %v", len(secrets), len(found), found)
	}
	if found := leaks(outputs, []string{"secret-elsewhere"}); len(found) > 0 {
		t.Errorf("found what is not there: %v", found)
	}
}

// TestPrincipalSecrets sends requests with all kinds of credentials, valid and invalid,
// with expiring tokens, a failing Redis and all logs enabled. It then searches everything that
// is stored or sent for secrets.
func TestPrincipalSecrets(t *testing.T) {
	t.Parallel()
	store := redistest.Start(t)
	k := &e2e.Keyring{T: t}
	var secrets []string
	key := strings.TrimPrefix(e2e.TokenKeys, "CONSOLEQL_TOKEN_KEYS=")
	var keyHeader map[string]string
	traces := e2e.NewCollector(t)
	w := e2e.NewWorld(t, consolesim.Options{TokenLifetime: 2 * time.Second}, traces.Configure, func(s *gateway.Settings, sim *consolesim.Server) {
		s.SlowOperation = time.Nanosecond
		k.Account("solo", sim.Data().SoloUser())
		keyHeader = k.Key("solo", "solo", "")
		s.APIKeysFile, s.RedisURL, s.TokenKeys, s.VerifyTokens = k.Write(), store.URL(), key, "on"
	})
	d := w.Sim.Data()
	secrets = append(secrets, key, keyHeader["X-Api-Key"], "the-wrong-password", "cqk_a-wrong-key-of-some-length")
	r := &recorder{World: w}
	var sessions []map[string]string
	for _, u := range d.Users() {
		session := w.SignIn(u) // its answer may contain its token
		sessions = append(sessions, e2e.MergeHeaders(session, e2e.ScopeHeader(u.CompanyIDs[0], u.Assigned[u.CompanyIDs[0]])))
		secrets = append(secrets, strings.TrimPrefix(session["Authorization"], "Bearer "))
	}
	busy := func(d time.Duration) {
		var wait sync.WaitGroup
		for _, header := range append(sessions, keyHeader, nil) {
			wait.Go(func() {
				for until := time.Now().Add(d); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
					r.ask(`{ viewer { userName } workflows(first: 2) { nodes { name } } }`, e2e.Request{Header: header})
				}
			})
		}
		wait.Wait()
	}
	busy(3 * time.Second)
	dumped := redisDump(t, store)
	// literal converts a password to a GraphQL name, like a password without quotes.
	literal := func(password string) string {
		name := "n" + strings.NewReplacer(`-`, `_`, `.`, `_`, `!`, `_`, `#`, `_`).Replace(password)
		secrets = append(secrets, name)
		return name
	}
	for _, u := range d.Users() {
		r.ask(e2e.SignInMutation, e2e.Request{Variables: map[string]any{"u": u.Username, "p": "the-wrong-password"}})
		r.ask(e2e.SignInMutation, e2e.Request{Variables: map[string]any{"u": u.Password, "p": u.Password}})
		for _, password := range []string{u.Password, w.Sim.Token(u.Username)} {
			// Passwords in all wrong places and forms.
			r.post(`{"query":"mutation { signIn(input: {username: \"u\", password: `+literal(password)+`}) { sessionToken } }"}`, nil)
			r.post(`{"query":"mutation { signIn(input: {username: \"u\", pass: \"`+password+`\"}) { sessionToken } }"}`, nil)
			r.post(`{"query":"mutation { signIn(input: {username: \"u\", password: [\"`+password+`\"]}) { sessionToken } }"}`, nil)
			r.post(`{"query":"mutation { signIn(input: {username: \"u\", password: \"`+password+`\" }) { nonsense } }"}`, nil)
			r.post(`{"query":"mutation { signIn(input: {username: \"u\", password: \"`+password+` }) { sessionToken } }"}`, nil)
			r.post(`{"query":"mutation { signIn(input: \"`+password+`\") { sessionToken } }"}`, nil)
			r.post(`{"query":"mutation { signIn(input: `+literal(password)+`) { sessionToken } }"}`, nil)
			r.post(`{"query":"mutation { signIn(\"`+password+`\") { sessionToken } }"}`, nil)
			r.post(`{"query":"mutation { signIn(input: {username: \"u\", password: }) { sessionToken } } \"`+password+`\""}`, nil)
			r.post(`{"query":"\"`+password+`\""}`, nil)
			r.post(`{"query":"mutation($i: SignInInput!) { signIn(input: $i) { sessionToken } }","variables":{"i":{"username":"u","password":{"is":"`+password+`"}}}}`, nil)
			r.post(`{"query":"mutation($i: SignInInput!) { signIn(input: $i) { sessionToken } }","variables":{"i":"`+password+`"}}`, nil)
			r.post(`{"query":"{ viewer { name } }"}`, map[string]string{"X-Api-Key": password})
			resp, body := w.Send(http.MethodGet, "/graphql?query="+url.QueryEscape(`mutation { signIn(input: {username: "u", password: "`+password+`"}) { sessionToken } }`), "", nil)
			if resp.StatusCode < 400 {
				t.Errorf("signIn by GET: status %d", resp.StatusCode)
			}
			r.record(body)
		}
	}
	r.post(`{"query":"{ viewer { name } }"}`, map[string]string{"X-Api-Key": "cqk_a-wrong-key-of-some-length"})
	r.post(`{"query":"{ viewer { name } }"}`, e2e.MergeHeaders(keyHeader, sessions[0]))
	r.post(`{"query":"{ viewer { name } }"}`, e2e.Bearer(secrets[len(secrets)-1]+"x"))
	for _, fault := range []consolesim.Fault{{Status: 500}, {Drop: true}, {Status: 401}, {Body: []byte(`{"access_token": {}}`)}} {
		disarm := w.Sim.Fail(func(q *http.Request) bool { return q.URL.Path == "/connect/token" }, fault)
		busy(2 * time.Second)
		disarm()
	}
	store.Stop()
	busy(3 * time.Second)
	store.Restart()
	busy(3 * time.Second)
	r.ask(`mutation { signOut { ok } }`, e2e.Request{Header: w.SignIn(d.SoloUser())})

	outputs := r.outputs()
	outputs["Redis"] = dumped + redisDump(t, store)
	spans := traces.StopAndCollect(w)
	outputs["traces"] = string(traces.Raw)
	config, err := exec.Command(e2e.Release.Binary(t), "config", "--token-keys="+key, "--api-keys-file="+k.Write()).CombinedOutput()
	if err != nil {
		t.Fatalf("config: %v\n%s", err, config)
	}
	outputs["config"] = string(config)
	secrets = append(secrets, d.Secrets()...)
	if len(secrets) < 100 || len(dumped) < 1000 || strings.Count(outputs["logs"], "a sign-in failed") < 3 || len(outputs["answers"]) < 10_000 || len(spans) < 500 {
		t.Fatalf("not much of a run: %d secrets, %d bytes in Redis, %d of logs, %d of answers, %d spans", len(secrets), len(dumped), len(outputs["logs"]), len(outputs["answers"]), len(spans))
	}
	for _, leak := range leaks(outputs, secrets) {
		t.Errorf("a secret stands in %s", leak)
	}
}
