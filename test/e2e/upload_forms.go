package e2e

import (
	"strings"
)

// FormPart is a part of a multipart form with its headers.
func FormPart(header, body string) string { return header + "\r\n\r\n" + body }

// JoinForm builds a form. open follows each boundary, and end the last.
func JoinForm(open, end string, parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("--B" + open + "\r\n" + p + "\r\n")
	}
	return b.String() + "--B--" + end
}
