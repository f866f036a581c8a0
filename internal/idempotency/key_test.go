package idempotency_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/idempotency"
)

// TestCheckKey verifies the length of keys, which is counted in characters, and their form.
func TestCheckKey(t *testing.T) {
	for name, tt := range map[string]struct{ key, says string }{
		"one character":                {"k", ""},
		"255 characters of one byte":   {strings.Repeat("k", 255), ""},
		"86 characters of three bytes": {strings.Repeat("中", 86), ""},
		"255 characters of four bytes": {strings.Repeat("😀", 255), ""},
		"256 characters of one byte":   {strings.Repeat("k", 256), "has 256 characters, more than 255"},
		"256 characters of four bytes": {strings.Repeat("😀", 256), "has 256 characters, more than 255"},
		"empty":                        {"", "is empty"},
		"half a character":             {"中"[:2], "is not UTF-8"},
		"a control character":          {"a\x07", "holds a control character"},
	} {
		t.Run(name, func(t *testing.T) {
			err := idempotency.CheckKey(tt.key)
			var refused *fault.Error
			switch {
			case tt.says == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.says != "" && (!errors.As(err, &refused) || refused.Code != fault.BadUserInput || refused.Message != tt.says):
				t.Errorf("got %v, want %q", err, tt.says)
			}
		})
	}
}
