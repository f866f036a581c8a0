package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/apikey"
	"github.com/consoleql/consoleql/test/e2e"
)

func TestAPIKeyCommand(t *testing.T) {
	var out, log bytes.Buffer
	if code := run(t.Context(), []string{"api-key"}, &out, &log); code != 0 {
		t.Fatalf("exit status %d: %s", code, &log)
	}
	found := regexp.MustCompile(`^key:  (\S+)\nhash: (\S+)\n$`).FindStringSubmatch(out.String())
	if found == nil {
		t.Fatalf("printed %q", &out)
	}
	path := filepath.Join(t.TempDir(), "keys.yaml")
	if err := os.WriteFile(path, []byte("keys: [{name: k, hash: '"+found[2]+"'}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := apikey.Load(path, apikey.Options{Default: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := keys.Find(found[1]); !ok {
		t.Error("the hash is not the key's")
	}
}

func TestIdentitySettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.yaml")
	if err := os.WriteFile(file, []byte("keys:\n  - {name: k, hash: nonsense, account: nobody}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		says string
	}{
		"no such file":               {[]string{"--api-keys-file=/does/not/exist"}, "--api-keys-file"},
		"a bad file":                 {[]string{"--api-keys-file=" + file}, "keys, number 1: hash"},
		"verification":               {[]string{"--verify-tokens=maybe"}, "verify-tokens"},
		"a bad ring":                 {[]string{"--redis-url=redis://127.0.0.1:1", "--token-keys=hunter2"}, "--token-keys: key 1"},
		"two rings":                  {[]string{"--token-keys=hunter2", "--token-keys-file=x"}, "either"},
		"no ring in a file":          {[]string{"--token-keys-file=/does/not/exist"}, "--token-keys-file"},
		"agents without credentials": {[]string{"--mcp=on", "--anonymous", "--username=a", "--password=b", "--trusted-documents=x"}, "--mcp does not go with --anonymous"},
		"agents without documents":   {[]string{"--mcp=on"}, "--mcp needs --trusted-documents"},
		"agents, documents off":      {[]string{"--mcp=on", "--trusted-documents=x", "--trusted-documents-mode=off"}, "--mcp needs --trusted-documents"},
		"mutations without agents":   {[]string{"--mcp-mutations=A"}, "--mcp-mutations needs --mcp"},
		"a session for ever":         {[]string{"--session-lifetime=0s"}, "--session-lifetime"},
	} {
		t.Run(name, func(t *testing.T) {
			var log e2e.LockedBuffer // go-redis may still log after the end
			if code := run(t.Context(), append([]string{"serve", "--listen=127.0.0.1:0", "--admin-listen="}, tt.args...), io.Discard, &log); code == 0 {
				t.Error("exit status 0")
			}
			if !strings.Contains(log.String(), tt.says) || strings.Contains(log.String(), "hunter2") {
				t.Errorf("said nothing of %q, or too much:\n%s", tt.says, &log)
			}
		})
	}
	var out bytes.Buffer
	if code := run(t.Context(), []string{"config", "--token-keys=hunter2"}, &out, io.Discard); code != 0 || strings.Contains(out.String(), "hunter2") || !strings.Contains(out.String(), "CONSOLEQL_TOKEN_KEYS=(hidden)") {
		t.Errorf("exit status %d:\n%s", code, &out)
	}
}
