package consoleclient

import (
	"strings"
	"testing"
)

// TestPartsOfTheTokenAreHidden verifies that no text of the console shows 16 characters in a row of the call's token.
func TestPartsOfTheTokenAreHidden(t *testing.T) {
	t.Parallel()
	const opaque = "TOK-svc-12345678-0123456789ABCDEFGHIJ"
	const signed = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1c2VyIn0.MEUCIQDxv0v6q3mM1Yw7n2c8kXb5ZrTt9LhJp4s"
	for name, tt := range map[string]struct{ token, text, want string }{
		"whole":            {opaque, "bad " + opaque + ".", "bad (hidden)."},
		"cut off":          {opaque, "bad " + opaque[:25], "bad (hidden)"},
		"without its end":  {opaque, opaque[:len(opaque)-5] + "… is bad", "(hidden)… is bad"},
		"its end":          {opaque, "bad: " + opaque[10:], "bad: (hidden)"},
		"two parts":        {opaque, opaque[:18] + " and " + opaque[15:], "(hidden) and (hidden)"},
		"joined parts":     {opaque, opaque[10:30] + opaque[:20], "(hidden)(hidden)"},
		"over lines":       {opaque, opaque[:18] + "\n" + opaque[18:], "(hidden) (hidden)"},
		"invisible breaks": {opaque, "bad " + opaque[:10] + "\u200b" + opaque[10:], "bad (hidden)"},
		"a signature":      {signed, "bad " + signed[len(signed)-40:] + "!", "bad (hidden)!"},
		"a short part":     {opaque, "bad " + opaque[:15], "bad " + opaque[:15]},
		"a short token":    {"abc", "bad abc", "bad (hidden)"},
		"another text":     {opaque, "the queue 0123456789 of TOK-svc-1 is paused", "the queue 0123456789 of TOK-svc-1 is paused"},
		"no token":         {"", "the queue is paused", "the queue is paused"},
	} {
		if got := sanitize(tt.text, tt.token); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	for from := range len(opaque) - minTokenPart {
		for to := from + minTokenPart; to <= len(opaque); to++ {
			if got := sanitize("x"+opaque[from:to]+"-y", opaque); strings.Contains(got, opaque[from:to]) {
				t.Errorf("%d to %d: %q", from, to, got)
			}
		}
	}
}
