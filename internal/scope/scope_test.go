package scope_test

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/consoleql/consoleql/internal/scope"
)

const (
	upper = "40143948-F359-4B9F-949F-AD179BCF1397"
	lower = "40143948-f359-4b9f-949f-ad179bcf1397"
	other = "1c3464c8-6939-4b13-ba5d-45f44ed8b671"
)

func TestParseID(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"lower case":      {lower, lower},
		"upper case":      {upper, lower},
		"empty":           {"", ""},
		"short":           {lower[1:], ""},
		"long":            {lower + "0", ""},
		"braces":          {"{" + upper + "}", lower},
		"parentheses":     {"(" + lower + ")", lower},
		"no dashes":       {strings.ReplaceAll(upper, "-", ""), lower},
		"braces only":     {"{" + strings.ReplaceAll(lower, "-", "") + "}", lower},
		"URN":             {"URN:uuid:" + upper, lower},
		"one brace":       {"{" + lower, ""},
		"unlike brackets": {"{" + lower + ")", ""},
		"two braces":      {"{{" + lower + "}}", ""},
		"nothing in them": {"{}", ""},
		"URN of nothing":  {"urn:uuid:", ""},
		"33 digits":       {strings.ReplaceAll(lower, "-", "") + "0", ""},
		"no digits":       {strings.Repeat("z", 32), ""},
		"space":           {" " + lower, ""},
		"misplaced dash":  {"4014394-8f359-4b9f-949f-ad179bcf1397", ""},
		"not hexadecimal": {strings.Replace(lower, "f", "g", 1), ""},
		"slash":           {strings.Replace(lower, "-", "/", 1), ""},
		"wide characters": {strings.Repeat("云", 12), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := scope.ParseID(c.in)
			if got != c.want || (err == nil) != (c.want != "") {
				t.Errorf("got %q, %v", got, err)
			}
			if err != nil && !strings.Contains(err.Error(), "is not a GUID") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestParseIDChecksEachByte verifies each byte in each place of a GUID.
func TestParseIDChecksEachByte(t *testing.T) {
	guid := regexp.MustCompile(`(?i)\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\z`)
	for _, id := range []string{lower, upper, other} {
		for at := range id {
			for c := range 256 {
				in := id[:at] + string([]byte{byte(c)}) + id[at+1:]
				if got, err := scope.ParseID(in); (err == nil) != guid.MatchString(in) || err == nil && got != strings.ToLower(in) {
					t.Errorf("%q: got %q, %v", in, got, err)
				}
			}
		}
	}
}

func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		upper: lower, lower: lower, "{" + upper + "}": lower, strings.ReplaceAll(upper, "-", ""): lower, "": "", "Admin": "Admin",
		strings.Repeat("Z", 36): strings.Repeat("Z", 36), strings.Repeat("Z", 32): strings.Repeat("Z", 32), "{A}": "{A}",
	} {
		if got := scope.Canonical(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestParseIDTruncatesQuotes(t *testing.T) {
	_, err := scope.ParseID(strings.Repeat("云", 1000) + "\n")
	if err == nil {
		t.Fatal("accepted")
	}
	if n := strings.Count(err.Error(), "云"); n != 64 || !utf8.ValidString(err.Error()) {
		t.Errorf("the error repeats %d characters: %v", n, err)
	}
	if _, err = scope.ParseID("a\nb"); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}

func TestNew(t *testing.T) {
	for name, c := range map[string]struct {
		company, department string
		want                scope.Scope
		err                 string
		complete            bool
	}{
		"both":             {upper, other, scope.Scope{CompanyID: lower, DepartmentID: other}, "", true},
		"company only":     {lower, "", scope.Scope{CompanyID: lower}, "", false},
		"department only":  {"", other, scope.Scope{DepartmentID: other}, "", false},
		"none":             {"", "", scope.Scope{}, "", false},
		"wrong company":    {"x", other, scope.Scope{}, `company id: "x" is not a GUID`, false},
		"wrong department": {lower, "x", scope.Scope{}, `department id: "x" is not a GUID`, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := scope.New(c.company, c.department)
			if got != c.want || got.Complete() != c.complete {
				t.Errorf("got %v, complete: %v", got, got.Complete())
			}
			if (err == nil) != (c.err == "") || (err != nil && err.Error() != c.err) {
				t.Errorf("got %v, want %q", err, c.err)
			}
		})
	}
}

func TestOr(t *testing.T) {
	full := scope.Scope{CompanyID: "c", DepartmentID: "d"}
	for name, c := range map[string]struct{ s, want scope.Scope }{
		"nothing":    {scope.Scope{}, full},
		"company":    {scope.Scope{CompanyID: "x"}, scope.Scope{CompanyID: "x", DepartmentID: "d"}},
		"department": {scope.Scope{DepartmentID: "x"}, scope.Scope{CompanyID: "c", DepartmentID: "x"}},
		"both":       {scope.Scope{CompanyID: "x", DepartmentID: "y"}, scope.Scope{CompanyID: "x", DepartmentID: "y"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.s.Or(full); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestContext(t *testing.T) {
	if s, ok := scope.FromContext(t.Context()); ok || s != (scope.Scope{}) {
		t.Errorf("got %v, %v of an empty context", s, ok)
	}
	want := scope.Scope{CompanyID: lower}
	if s, ok := scope.FromContext(scope.NewContext(t.Context(), want)); !ok || s != want {
		t.Errorf("got %v, %v", s, ok)
	}
}

func TestLower(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const letters = "0123456789abcdefABCDEFZ@[-`z{\x00\x7fé世İ"
	for range 20_000 {
		var b strings.Builder
		for range random.IntN(40) {
			b.WriteRune([]rune(letters)[random.IntN(utf8.RuneCountInString(letters))])
		}
		if id := b.String(); scope.Lower(id) != strings.ToLower(id) {
			t.Fatalf("%q: got %q, want %q", id, scope.Lower(id), strings.ToLower(id))
		}
	}
	if got := scope.Lower("ABCDEF01-2345-6789-ABCD-EF0123456789"); got != "abcdef01-2345-6789-abcd-ef0123456789" {
		t.Error(got)
	}
}
