package consoleclient

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
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

// eachByte returns s with each byte in a format.
func eachByte(s, format string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, format, c)
	}
	return b.String()
}

func jsonText(s string) string {
	text, _ := json.Marshal(s)
	return strings.Trim(string(text), `"`)
}

// TestEncodedTokensAreHidden verifies that no text of the console shows the call's token, or 16 characters of it in a
// row. The same holds for another case and for encodings.
func TestEncodedTokensAreHidden(t *testing.T) {
	t.Parallel()
	encodings := map[string]func(string) string{
		"upper case":             strings.ToUpper,
		"lower case":             strings.ToLower,
		"hex":                    func(s string) string { return hex.EncodeToString([]byte(s)) },
		"hex after a digit":      func(s string) string { return "0" + hex.EncodeToString([]byte(s)) },
		"hex in upper case":      func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
		"hex with dashes":        func(s string) string { return eachByte(s, "%02X-") },
		"percent":                func(s string) string { return eachByte(s, "%%%02X") },
		"percent in lower case":  func(s string) string { return eachByte(s, "%%%02x") },
		"percent twice":          func(s string) string { return eachByte(s, "%%25%02X") },
		"percent of a query":     url.QueryEscape,
		"JSON escapes":           func(s string) string { return eachByte(s, `\u%04x`) },
		"JSON escapes twice":     func(s string) string { return eachByte(s, `\\u%04X`) },
		"JSON in JSON in JSON":   func(s string) string { return jsonText(jsonText(jsonText(`{"token":"` + s + `"}`))) },
		"JSON escapes in a URL":  func(s string) string { return url.QueryEscape(eachByte(s, `\u%04x`)) },
		"escapes of C":           func(s string) string { return eachByte(s, `\x%02x`) },
		"slashes of JSON":        func(s string) string { return strings.NewReplacer("/", `\/`, "+", `\u002B`, "=", `\u003d`).Replace(s) },
		"HTML":                   func(s string) string { return eachByte(s, "&#%d;") },
		"HTML in hexadecimal":    func(s string) string { return eachByte(s, "&#x%X;") },
		"HTML twice":             func(s string) string { return html.EscapeString(eachByte(s, "&#x%x;")) },
		"base64 in a URL":        func(s string) string { return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte("?>>" + s))) },
		"base64 of upper case":   func(s string) string { return base64.StdEncoding.EncodeToString([]byte(strings.ToUpper(s))) },
		"base64 without padding": func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
	}
	for before := range 6 {
		for name, encoding := range map[string]*base64.Encoding{"base64": base64.StdEncoding, "base64 of URLs": base64.URLEncoding} {
			encodings[fmt.Sprintf("%s after %d bytes", name, before)] = func(s string) string {
				return encoding.EncodeToString([]byte("Bearer"[:before] + s + "\xff\xfe"))
			}
			encodings[fmt.Sprintf("%s after %d digits", name, before)] = func(s string) string {
				return "/token/"[:before] + encoding.EncodeToString([]byte(s))
			}
		}
	}
	for _, token := range []string{
		"TOK-svc-12345678-0123456789ABCDEFGHIJ",
		"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1c2VyIn0.MEUCIQDxv0v6q3mM1Yw7n2c8kXb5ZrTt9LhJp4s",
		"a/b+c/d+e/f+g/h+i/j+k/l+m/n+o/p==",
	} {
		for name, encode := range encodings {
			for _, part := range []string{token, token[:16], token[len(token)-17:]} {
				text := encode(part)
				got := sanitize("the token "+text+" is bad", token)
				if got != "the token (hidden) is bad" && (strings.Contains(got, text) || !strings.Contains(got, hiddenText)) {
					t.Errorf("%s of %s: %q", name, part, got)
				}
			}
		}
	}
}

// TestLongTextsHideTheToken verifies that no part of a long run of characters shows the token.
func TestLongTextsHideTheToken(t *testing.T) {
	t.Parallel()
	const token = "TOK-svc-12345678-0123456789ABCDEFGHIJ"
	text := base64.StdEncoding.EncodeToString([]byte(token))
	for name, before := range map[string]string{
		"parts":   strings.Repeat(token, maxShownBytes/len(token)),
		"encoded": strings.Repeat(text, 2*maxShownBytes/len(text)),
		"plain":   strings.Repeat("x", maxProblemText),
		"words":   strings.Repeat("0123456789abcdef ", 40),
	} {
		for cut := range 30 {
			got := sanitize(before[cut:]+text, token)
			for from := range len(text) - 24 {
				if strings.Contains(got, text[from:from+24]) {
					t.Fatalf("%s from %d: %q", name, cut, got)
				}
			}
		}
	}
}

// TestOtherTextsAreKept verifies that long words that do not encode the token stay.
func TestOtherTextsAreKept(t *testing.T) {
	t.Parallel()
	const token = "TOK-svc-12345678-0123456789ABCDEFGHIJ"
	for _, text := range []string{
		"",
		"the queue 6f9619ff-8b86-d011-b42d-00c04fc964ff is paused",
		"see https://console.example/a%20b/openapi/workflows?name=%E9%A1%B9%E7%9B%AE&page=1#top; it is full",
		"the digest is e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		base64.StdEncoding.EncodeToString([]byte("a text that has no part of the token in it")),
		`C:\packages\u00zz\xyz\workflow.robot.package.1.0.0 &amp; others &#0; &#999; %zz %`,
		"工作流 6f9619ff8b86d011b42d00c04fc964ff 不存在",
		base64.StdEncoding.EncodeToString([]byte(token[:15])),
	} {
		if got := sanitize(text, token); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// BenchmarkSanitize measures the search for a token in usual and in long texts.
func BenchmarkSanitize(b *testing.B) {
	token := strings.Repeat("eyJzdWIiOiJ1c2VyIn0.MEUCIQDxv0v6q3mM1Yw7n2c8kXb5ZrTt9LhJp4s_", 32)
	for name, text := range map[string]string{
		"usual":      "the queue of this name does not exist in the department",
		"id":         "the queue 6f9619ff-8b86-d011-b42d-00c04fc964ff does not exist",
		"long":       strings.Repeat("MEUCIQDxv0v6q3mM1Ym", maxProblemInput/19),
		"long words": strings.Repeat("6f9619ff-8b86-d011-b42d-00c04fc964ff ", maxProblemInput/37),
		"escapes":    strings.Repeat("%4D%45%55", maxProblemInput/9),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sanitize(text, token)
			}
		})
	}
}
