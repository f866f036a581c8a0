package questions

import (
	"encoding/json"
	"testing"

	"github.com/consoleql/consoleql/test/e2e"
)

func TestMain(m *testing.M) { e2e.RunTests(m) }

// decode decodes the data of an answer without errors.
func decode(t *testing.T, a e2e.Answer, out any) {
	t.Helper()
	if len(a.Errors) > 0 {
		t.Fatalf("answered %s", a.Body)
	}
	if err := json.Unmarshal(a.Data, out); err != nil {
		t.Fatal(err)
	}
}
