package scope_test

import (
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/scope"
)

func TestSame(t *testing.T) {
	for name, c := range map[string]struct {
		a, b string
		want bool
	}{
		"equal":             {lower, lower, true},
		"case":              {lower, upper, true},
		"form":              {lower, "{" + strings.ReplaceAll(upper, "-", "") + "}", true},
		"other":             {lower, other, false},
		"no GUIDs":          {"Queue-1", "queue-1", true},
		"different texts":   {"queue-1", "queue-2", false},
		"a GUID and a text": {lower, "queue-1", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := scope.Same(c.a, c.b); got != c.want || scope.Same(c.b, c.a) != got {
				t.Errorf("%q, %q: %v", c.a, c.b, got)
			}
		})
	}
}
