package consoleclient

import (
	"net/http"
	"strings"
)

// challengesBearer reports whether a WWW-Authenticate header holds a challenge of the scheme Bearer.
func challengesBearer(h http.Header) bool {
	for _, line := range h.Values("WWW-Authenticate") {
		for line != "" {
			var element string
			element, line = cutElement(line)
			if strings.EqualFold(schemeOf(element), "Bearer") {
				return true
			}
		}
	}
	return false
}

// cutElement splits a list at its first comma outside quoted strings (RFC 9110, sections 5.6.1 and 5.6.4).
func cutElement(list string) (element, rest string) {
	quoted := false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++ // the next byte is escaped
		case c == ',' && !quoted:
			return list[:i], list[i+1:]
		}
	}
	return list, ""
}

// schemeOf returns the scheme of the challenge that begins with a list element of WWW-Authenticate. It returns "" if
// the element is a further parameter of the previous challenge (RFC 9110, section 11.6.1).
func schemeOf(element string) string {
	const whitespace = " \t"
	element = strings.Trim(element, whitespace)
	end := strings.IndexAny(element, whitespace+"=")
	if end < 0 {
		return element
	}
	if strings.HasPrefix(strings.TrimLeft(element[end:], whitespace), "=") {
		return ""
	}
	return element[:end]
}
