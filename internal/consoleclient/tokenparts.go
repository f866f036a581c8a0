package consoleclient

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// minTokenPart is the length from which a part of a token is hidden. No shorter part helps to guess the rest.
const minTokenPart = 16

// hiddenText replaces a token.
const hiddenText = "(hidden)"

// maxShownBytes bounds the bytes of a text that are shown, and so the work for it.
const maxShownBytes = utf8.UTFMax * (maxProblemText + 1)

// withoutToken returns s without parts of the token, in upper and lower case. A run of characters that encodes a part is
// hidden whole. Encodings are escapes, hexadecimal and base64, at any position of the run. The result ends after
// maxShownBytes.
func withoutToken(s, token string) string {
	if len(token) < minTokenPart {
		if token != "" {
			s = strings.ReplaceAll(s, token, hiddenText)
		}
		return s
	}
	var (
		b     strings.Builder
		parts *tokenParts
		kept  int
	)
	for i := 0; i < len(s); i++ {
		begin := i
		for i < len(s) && i-begin < maxShownBytes && isEncoding(s[i]) {
			i++
		}
		if i-begin < minTokenPart {
			continue
		}
		if parts == nil {
			parts = newTokenParts(token)
		}
		b.WriteString(s[kept:begin])
		b.WriteString(parts.hide(s[begin:i]))
		kept = i
		if b.Len() >= maxShownBytes {
			return b.String() // the rest is not shown
		}
		if i-begin == maxShownBytes {
			i-- // the run goes on
		}
	}
	return b.String() + s[kept:]
}

// isEncoding reports whether c may be part of a token (RFC 6750, section 2.1) or of an encoded one.
func isEncoding(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(`-._~+/=%\&#;`, c) >= 0
}

// tokenParts finds parts of a token.
type tokenParts struct {
	token    string          // in lower case
	trigrams [1 << 10]uint64 // a set of the hashes of the token's sequences of three bytes
}

func newTokenParts(token string) *tokenParts {
	p := &tokenParts{token: lowerASCII(token)}
	for i := range len(token) - 2 {
		h := trigram(p.token[i:])
		p.trigrams[h/64] |= 1 << (h % 64)
	}
	return p
}

// trigram returns the hash of the first three bytes of s.
func trigram(s string) uint16 {
	return uint16((uint32(s[0])<<16 | uint32(s[1])<<8 | uint32(s[2])) * 2654435761 >> 16)
}

// hide returns a run without the parts of the token in it. It is hidden whole if it encodes a part.
func (p *tokenParts) hide(run string) string {
	plain := unescape(run)
	if plain != run && p.in(plain) || p.encoded(plain, 4, hexDigit) || p.encoded(plain, 6, base64Digit) {
		return hiddenText
	}
	var b strings.Builder
	lower, kept := lowerASCII(run), 0
	for {
		begin, end := p.next(lower, kept)
		if begin < 0 {
			return b.String() + run[kept:]
		}
		b.WriteString(run[kept:begin] + hiddenText)
		kept = end
	}
}

// in reports whether s has a part of the token.
func (p *tokenParts) in(s string) bool {
	begin, _ := p.next(lowerASCII(s), 0)
	return begin >= 0
}

// next returns the bounds of the first part of the token in s from i on; -1 if there is none. s is in lower case.
func (p *tokenParts) next(s string, i int) (begin, end int) {
	for i+minTokenPart <= len(s) {
		if h := trigram(s[i+minTokenPart-3:]); p.trigrams[h/64]&(1<<(h%64)) == 0 {
			i += minTokenPart - 2 // a part has only trigrams of the token
			continue
		}
		at := strings.Index(p.token, s[i:i+minTokenPart])
		if at < 0 {
			i++
			continue
		}
		end = i + minTokenPart
		for at += minTokenPart; end < len(s) && at < len(p.token) && s[end] == p.token[at]; at++ {
			end++
		}
		return i, end
	}
	return -1, -1
}

// encoded reports whether s encodes a part of the token in digits of a number of bits. The digits may begin anywhere in a
// sequence of digits, so that each alignment is tried.
func (p *tokenParts) encoded(s string, bits int, digit func(byte) int) bool {
	if len(s)*bits < minTokenPart*8 {
		return false
	}
	alignments := 4 // of base64: three bytes are four digits
	if bits == 4 {
		alignments = 2
	}
	plain := make([]byte, 0, len(s)*bits/8+1)
	for alignment := range alignments {
		plain = plain[:0]
		value, has, digits := 0, 0, 0
		for i := range len(s) {
			v := digit(s[i])
			if v == separator {
				continue
			}
			if v < 0 {
				plain = append(plain, 0) // no byte of a token
				value, has, digits = 0, 0, 0
				continue
			}
			if digits++; digits <= alignment {
				continue
			}
			value, has = (value<<bits|v)&0xffff, has+bits
			if has >= 8 {
				has -= 8
				plain = append(plain, byte(value>>has&0xff))
			}
		}
		if p.in(string(plain)) {
			return true
		}
	}
	return false
}

// separator stands for a character between digits.
const separator = -2

// hexDigit returns the value of a hexadecimal digit, separator for the dash that .NET writes between bytes, and -1 for
// another character.
func hexDigit(c byte) int {
	switch {
	case c == '-':
		return separator
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// base64Digit returns the value of a digit of base64 in either alphabet (RFC 4648, sections 4 and 5), -1 for another
// character.
func base64Digit(c byte) int {
	switch {
	case 'A' <= c && c <= 'Z':
		return int(c - 'A')
	case 'a' <= c && c <= 'z':
		return int(c-'a') + 26
	case '0' <= c && c <= '9':
		return int(c-'0') + 52
	case c == '+', c == '-':
		return 62
	case c == '/', c == '_':
		return 63
	}
	return -1
}

// escaped matches an escaped ASCII character of a URL, of JSON and similar texts, and of HTML, also if it is escaped twice.
var escaped = regexp.MustCompile(`%(?:25)*[0-9A-Fa-f]{2}|\\+(?:u00|x)[0-9A-Fa-f]{2}|\\+/|&(?:amp;)*#(?:[xX]0*[0-9A-Fa-f]{2}|0*[0-9]{2,3});`)

// maxEscapes bounds how often a text is unescaped, because an escape may be escaped in another way.
const maxEscapes = 3

// unescape returns s with escaped characters replaced.
func unescape(s string) string {
	for range maxEscapes {
		if !strings.ContainsAny(s, `%\&`) {
			break
		}
		s = escaped.ReplaceAllStringFunc(s, unescapeOne)
	}
	return s
}

// unescapeOne returns the character of a match of escaped.
func unescapeOne(s string) string {
	digits, base := s[max(0, len(s)-2):], 16
	if s[len(s)-1] == '/' {
		return "/"
	}
	if s[0] == '&' {
		digits, base = strings.TrimSuffix(s[strings.IndexByte(s, '#')+1:], ";"), 10
		if digits[0]|0x20 == 'x' {
			digits, base = digits[1:], 16
		}
	}
	c, err := strconv.ParseUint(digits, base, 8)
	if err != nil {
		return s
	}
	return string([]byte{byte(c)})
}

// lowerASCII returns s with ASCII letters in lower case, and of the same length.
func lowerASCII(s string) string {
	lower := []byte(s)
	for i, c := range lower {
		if 'A' <= c && c <= 'Z' {
			lower[i] = c | 0x20
		}
	}
	return string(lower)
}
