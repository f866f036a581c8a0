package consoleclient_test

import (
	"encoding/base64"
	"strings"
	"testing"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

func TestNodeID(t *testing.T) {
	t.Parallel()
	const a, b, c = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b", "00000000-0000-4000-8000-00000000000c"
	for _, typ := range []string{"Company", "Robot", "X"} {
		for _, sc := range []scope.Scope{{CompanyID: a, DepartmentID: b}, {CompanyID: a}, {}} {
			want := cc.NodeID{Type: typ, Scope: sc, ID: c}
			if got, err := cc.ParseNodeID(want.String()); err != nil || got != want {
				t.Errorf("%+v became %+v, %v", want, got, err)
			}
		}
	}
	upper := cc.NodeID{Type: "Robot", ID: strings.ToUpper(c)}
	if got, err := cc.ParseNodeID(upper.String()); err != nil || got.ID != c {
		t.Errorf("%+v became %+v, %v", upper, got, err)
	}
	if got := (&cc.Robot{ID: "no GUID"}).NodeID(); got != "" {
		t.Errorf("a robot without a GUID has the nodeId %q", got)
	}
}

func TestParseNodeIDFails(t *testing.T) {
	t.Parallel()
	good := cc.NodeID{Type: "Robot", ID: "00000000-0000-4000-8000-00000000000a"}.String()
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	with := func(i int, b byte) string {
		changed := append([]byte{}, raw...)
		changed[i] = b
		return base64.RawURLEncoding.EncodeToString(changed)
	}
	for name, text := range map[string]string{
		"empty": "", "a GUID": "00000000-0000-4000-8000-00000000000a", "too short": good[:20], "no type": base64.RawURLEncoding.EncodeToString(raw[:49]),
		"another version": with(0, 2), "padded": good + "==", "other letters": strings.Replace(good, good[:1], "+", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := cc.ParseNodeID(text); fault.CodeOf(err) != fault.BadUserInput {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}
