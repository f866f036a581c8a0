package trusteddocuments_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/trusteddocuments"
)

// TestOperations verifies which operations a list hands on, and that descriptions which cannot be read keep the present list.
func TestOperations(t *testing.T) {
	t.Parallel()
	const both = `"Own text." query Viewer { viewer { userName } } "Of packages." query Packages { packages { totalCount } }`
	folder := t.TempDir()
	write(t, folder, "one.json", fmt.Sprintf(`{"a":%q,"b":%q,"again":%q,"bad":"{ nope }","none":"{ viewer { id } }"}`, viewer, both, viewer))
	write(t, folder, "two.json", fmt.Sprintf(`{"a":%q}`, viewer))
	descriptions := write(t, folder, "two.descriptions.json", `{"Viewer":"Beside it.","Packages":"Of another manifest."}`)
	var got []string
	l, logs, err := open(t, folder, trusteddocuments.Log, func(o *trusteddocuments.Options) {
		o.Loaded = func(operations []trusteddocuments.Operation) {
			got = nil
			for _, of := range operations {
				got = append(got, strings.Join([]string{of.Definition.Name, of.Description, of.Document[:8], filepath.Base(of.File)}, "|"))
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Viewer|Beside it.|" + hashOf(viewer)[:8] + "|one.json",
		"Viewer|Own text.|" + hashOf(both)[:8] + "|one.json", "Packages|Of packages.|" + hashOf(both)[:8] + "|one.json",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if said := logs.String(); strings.Count(said, "a description names no trusted operation") != 1 || !strings.Contains(said, "name=Packages file="+descriptions) {
		t.Errorf("said\n%s", said)
	}
	if textOf(l, hashOf(both)) != both || len(l.Paths()) != 4 {
		t.Errorf("%q, paths %v", textOf(l, hashOf(both)), l.Paths())
	}
	for _, bad := range []string{`{"Viewer":1}`, `[]`, `{`} {
		write(t, folder, "two.descriptions.json", bad)
		if err := l.Reload(); err == nil || !strings.Contains(err.Error(), descriptions) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
