package transport_test

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consoleclient/transport"
)

// TestAuthorityFiles verifies which files of certificates are refused: those with a block that is broken.
func TestAuthorityFiles(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(nil)
	t.Cleanup(server.Close)
	good := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	for name, tt := range map[string]struct{ text, refusal string }{
		"one":                {good, ""},
		"two and a text":     {"# Root\n" + good + "\n# Other\n" + good, ""},
		"a byte order mark":  {"\ufeff" + good, ""},
		"a text in GBK":      {"\xc3\xdc\xc2\xeb\n" + good, ""},
		"UTF-16":             {"\xff\xfe-\x00", "UTF-16"},
		"none":               {"", "holds no certificate"},
		"a broken block":     {good + strings.Replace(good, "MII", "***", 1), "1 of 2 certificates are not PEM"},
		"no certificate":     {good + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})), "certificate number 2"},
		"a cut block":        {good + good[:len(good)/2], "1 of 2 certificates are not PEM"},
		"another text alone": {"no certificate", "holds no certificate"},
	} {
		path := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := transport.OpenAuthorities(path)
		if tt.refusal == "" && err != nil || tt.refusal != "" && (err == nil || !strings.Contains(err.Error(), tt.refusal)) {
			t.Errorf("%s: %v, want %q", name, err, tt.refusal)
		}
	}
}
