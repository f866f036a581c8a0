package consolesim_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// TestDialectsOfSettings verifies that each name of a dialect sets one field, and each another.
func TestDialectsOfSettings(t *testing.T) {
	field, ok := reflect.TypeFor[consolesim.Settings]().FieldByName("Dialect")
	if !ok {
		t.Fatal("there is no flag of dialects")
	}
	seen := make(map[consolesim.Dialect]string)
	for name := range strings.SplitSeq(field.Tag.Get("enum"), ",") {
		d := consolesim.Settings{Dialect: []string{name}}.Options().Dialect
		if d == (consolesim.Dialect{}) || seen[d] != "" {
			t.Errorf("%s sets the same as %q", name, seen[d])
		}
		seen[d] = name
	}
	if d := (consolesim.Settings{}).Options().Dialect; d != (consolesim.Dialect{}) {
		t.Errorf("no name sets %+v", d)
	}
}
