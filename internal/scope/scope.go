// Package scope holds the company and department of a console call and carries them in a context.
//
// They are the request headers CompanyId and DepartmentId (document, section Request headers).
package scope

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Scope is a company and a department within it. It is comparable and can be a map key. Either id may be empty; an
// empty id sends no header.
type Scope struct {
	CompanyID    string
	DepartmentID string
}

// New creates a scope from two ids in lower case. Each must be a GUID or empty, and the error names the invalid one.
func New(company, department string) (Scope, error) {
	var s Scope
	for _, id := range []struct {
		name, value string
		into        *string
	}{
		{"company id", company, &s.CompanyID},
		{"department id", department, &s.DepartmentID},
	} {
		if id.value == "" {
			continue
		}
		parsed, err := ParseID(id.value)
		if err != nil {
			return Scope{}, fmt.Errorf("%s: %w", id.name, err)
		}
		*id.into = parsed
	}
	return s, nil
}

// Complete reports whether both ids are set, as operations within a department require.
func (s Scope) Complete() bool { return s.CompanyID != "" && s.DepartmentID != "" }

// Or fills the empty ids of s from other.
func (s Scope) Or(other Scope) Scope {
	if s.CompanyID == "" {
		s.CompanyID = other.CompanyID
	}
	if s.DepartmentID == "" {
		s.DepartmentID = other.DepartmentID
	}
	return s
}

type contextKey struct{}

// NewContext returns a copy of ctx that carries the scope of a request, which may be partial.
func NewContext(ctx context.Context, s Scope) context.Context {
	return context.WithValue(ctx, contextKey{}, s)
}

// FromContext returns the scope that NewContext stored in ctx, and whether there is one.
func FromContext(ctx context.Context) (Scope, bool) {
	s, ok := ctx.Value(contextKey{}).(Scope)
	return s, ok
}

// NoID is the GUID that .NET writes for an unset id.
const NoID = "00000000-0000-0000-0000-000000000000"

// None reports whether an optional id is unset. The last digit of other ids usually differs from NoID's.
func None(id *string) bool {
	return id == nil || *id == "" || (*id)[len(*id)-1] == NoID[guidLength-1] && *id == NoID
}

// maxQuoted bounds how many characters of an invalid id an error repeats.
const maxQuoted = 64

// Lower returns an id in lower case, which makes ids comparable: consoles differ in the case of GUIDs. It is
// strings.ToLower with a fast path for lower-case ASCII.
func Lower(id string) string {
	if len(id) < wordLength {
		return strings.ToLower(id)
	}
	for i := 0; i < len(id); i += wordLength {
		w := word(id, min(i, len(id)-wordLength))
		if ascii := w &^ highs; w&highs|atLeast(ascii, 'A')&^atLeast(ascii, 'Z'+1) != 0 {
			return strings.ToLower(id)
		}
	}
	return id
}

// Ids are compared eight bytes at a time.
const (
	wordLength  = 8
	ones, highs = 0x0101010101010101, 0x8080808080808080
)

// word returns the eight bytes of s at i.
func word(s string, i int) uint64 {
	s = s[i : i+wordLength]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// atLeast sets the high bit of each byte of w that is at least c. All bytes are ASCII.
func atLeast(w uint64, c byte) uint64 { return (w + (0x80-uint64(c))*ones) & highs }

// hexadecimal sets the high bit of each byte of w that is a hexadecimal digit.
func hexadecimal(w uint64) uint64 {
	digit := w &^ highs
	letter := digit | ' '*ones
	return (atLeast(digit, '0')&^atLeast(digit, '9'+1) | atLeast(letter, 'a')&^atLeast(letter, 'f'+1)) &^ w
}

// ParseID parses a GUID and returns its canonical form: 8-4-4-4-12 hexadecimal digits in lower case. It accepts
// .NET's forms N, D, B and P (without dashes, with them, in braces or parentheses). It also accepts the URN of RFC
// 9562, section 4. The error quotes the first 64 characters of s.
func ParseID(s string) (string, error) {
	id, ok := canonical(s)
	if !ok {
		return "", fmt.Errorf("%q is not a GUID", truncate(s))
	}
	return id, nil
}

// Canonical returns the canonical form of a GUID, and any other text unchanged.
func Canonical(s string) string {
	if len(s) == guidLength && Lower(s) == s {
		return s // canonical or not a GUID
	}
	if id, ok := canonical(s); ok {
		return id
	}
	return s
}

// Same reports whether two ids are equal. It ignores their case, and the form of GUIDs.
func Same(a, b string) bool { return strings.EqualFold(a, b) || Canonical(a) == Canonical(b) }

const (
	guidLength = 36 // including dashes
	guidDigits = 32
	urnPrefix  = "urn:uuid:"
)

func canonical(s string) (string, bool) {
	switch n := len(s); {
	case n > len(urnPrefix) && strings.EqualFold(s[:len(urnPrefix)], urnPrefix):
		s = s[len(urnPrefix):]
	case n > 2 && (s[0] == '{' && s[n-1] == '}' || s[0] == '(' && s[n-1] == ')'):
		s = s[1 : n-1]
	}
	if len(s) == guidDigits {
		s = s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
	}
	if !isGUID(s) {
		return "", false
	}
	return Lower(s), true
}

func isGUID(s string) bool {
	if len(s) != guidLength || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	const zero = '-' ^ '0' // makes a dash a digit
	return hexadecimal(word(s, 0))&hexadecimal(word(s, 9)^zero<<32)&hexadecimal(word(s, 16)^zero<<16^zero<<56)&
		hexadecimal(word(s, 24))&hexadecimal(word(s, 28)) == highs
}

func truncate(s string) string {
	if utf8.RuneCountInString(s) <= maxQuoted {
		return s
	}
	return string([]rune(s)[:maxQuoted]) + "…"
}
