package mcp

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// TestResults verifies that no result is longer than 64 KiB, whatever its characters are, and that each is valid.
func TestResults(t *testing.T) {
	t.Parallel()
	for _, piece := range []string{"a", `\"`, "机", "😀", "<", "&", "\u2028", `\u0001`} {
		for _, size := range []int{1, 5 << 10, 8 << 10, 9 << 10, 10 << 10, 20 << 10, 31 << 10, 33 << 10, 60 << 10, 64 << 10, 70 << 10, 1 << 20} {
			for _, errs := range []string{"", `"errors":[{"message":"m"}],`} {
				response := fmt.Sprintf(`{%s"data":{"name":%q}}`, errs, "")
				response = strings.Replace(response, `""`, `"`+strings.Repeat(piece, size/len(piece))+`"`, 1)
				result := resultOf([]byte(response))
				text, err := json.Marshal(result) // as the SDK sends it
				if err != nil || len(text) > maxResult || result.IsError != (errs != "") {
					t.Errorf("%q × %d: %d bytes, error %v, %v", piece, size, len(text), result.IsError, err)
				}
				last := result.Content[len(result.Content)-1].(*sdk.TextContent).Text //nolint:forcetypeassert // resultOf makes texts only
				whole := len(result.Content) == 2
				if !utf8.ValidString(last) || !strings.HasPrefix(response, last) || whole != (last == response) || result.StructuredContent != nil && !whole {
					t.Errorf("%q × %d: %d of %d bytes, structured %v", piece, size, len(last), len(response), result.StructuredContent != nil)
				}
				if !whole && len(text) < maxResult*9/10 {
					t.Errorf("%q × %d: cut to %d bytes", piece, size, len(text))
				}
			}
		}
	}
}

// TestNoResponse verifies that what is no response is an internal error.
func TestNoResponse(t *testing.T) {
	t.Parallel()
	for _, response := range []string{"", "x", "{"} {
		if result := resultOf([]byte(response)); !result.IsError || !strings.Contains(fmt.Sprintf("%s", result.StructuredContent), "INTERNAL") {
			t.Errorf("%q: %+v", response, result)
		}
	}
}

// TestWithKey adds keys to inputs.
func TestWithKey(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]string{
		`{}`: `{"idempotencyKey":"\"k"}`, `{ }`: `{"idempotencyKey":"\"k" }`, `{"a":1}`: `{"idempotencyKey":"\"k","a":1}`, `null`: `null`, `[1]`: `[1]`, ``: ``,
	} {
		if got := string(withKey([]byte(input), `"k`)); got != want {
			t.Errorf("%s: %s, want %s", input, got, want)
		}
	}
}
