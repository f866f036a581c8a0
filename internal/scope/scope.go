// Package scope holds the company and department in whose name the console is asked, and carries them through a
// context.
//
// The console knows them as the request headers CompanyId and DepartmentId (document, section Request headers).
package scope

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Scope is a company and, within it, a department. It is comparable, hence fit for a map key. Either id may be empty:
// no header is sent for an empty one.
type Scope struct {
	CompanyID    string
	DepartmentID string
}

// New makes a scope of two ids, each a GUID or empty, and brings both to lower case.
// The error says which of the two is no GUID.
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

// Complete reports whether both ids are there, as operations on a department's content need.
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

// NewContext returns a context that carries the scope a request named, which may be partial.
func NewContext(ctx context.Context, s Scope) context.Context {
	return context.WithValue(ctx, contextKey{}, s)
}

// FromContext returns the scope that NewContext put into ctx, and whether there is one.
func FromContext(ctx context.Context) (Scope, bool) {
	s, ok := ctx.Value(contextKey{}).(Scope)
	return s, ok
}

// NoID is the GUID that .NET sends where there is none.
const NoID = "00000000-0000-0000-0000-000000000000"

// None says whether an id that may be missing is.
func None(id *string) bool { return id == nil || *id == "" || *id == NoID }

// maxQuoted is how many characters of a wrong id an error repeats.
const maxQuoted = 64

// Lower returns an id in lower case, in which ids are compared: consoles differ in the case of GUIDs. It is
// strings.ToLower, but quick for what is in lower case already, as ids mostly are.
func Lower(id string) string {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(id); i += 8 {
		w := uint64(id[i]) | uint64(id[i+1])<<8 | uint64(id[i+2])<<16 | uint64(id[i+3])<<24 |
			uint64(id[i+4])<<32 | uint64(id[i+5])<<40 | uint64(id[i+6])<<48 | uint64(id[i+7])<<56
		// The high bit of a byte is set by the first sum from A on, by the second from beyond Z on.
		if (w|(w&^highs+(0x80-'A')*ones)&^(w&^highs+(0x80-'Z'-1)*ones))&highs != 0 {
			return strings.ToLower(id)
		}
	}
	for ; i < len(id); i++ {
		if c := id[i]; 'A' <= c && c <= 'Z' || c >= utf8.RuneSelf {
			return strings.ToLower(id)
		}
	}
	return id
}

// ParseID reads a GUID and returns it in its canonical form: 8-4-4-4-12 hexadecimal digits in lower case. It accepts .NET's
// forms N, D, B and P (without dashes, with them, and in braces or parentheses) and the URN of RFC 9562, section 4. The
// error quotes the first 64 characters of s.
func ParseID(s string) (string, error) {
	id, ok := canonical(s)
	if !ok {
		return "", fmt.Errorf("%q is not a GUID", truncate(s))
	}
	return id, nil
}

// Canonical is ParseID for what may be no GUID, which it returns as it is.
func Canonical(s string) string {
	if len(s) == guidLength && Lower(s) == s {
		return s // canonical already, as most are, or no GUID
	}
	if len(s) == guidLength && Lower(s) == s {
		return s // in whatever else it differs from a GUID, nothing is left to change
	}
	if id, ok := canonical(s); ok {
		return id
	}
	return s
}

const (
	guidLength = 36 // with dashes
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
	if len(s) != guidLength {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
				return false
			}
		}
	}
	return true
}

func truncate(s string) string {
	if utf8.RuneCountInString(s) <= maxQuoted {
		return s
	}
	return string([]rune(s)[:maxQuoted]) + "…"
}
