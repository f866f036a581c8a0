// Package textfile reads files of keys, passwords and documents, and reloads them when their content changes.
package textfile

import (
	"fmt"
	"os"
	"strings"
	"unicode/utf8"
)

// maxSize bounds a file, in bytes.
const maxSize = 8 << 20

// ByteOrderMark is the byte order mark of UTF-8, which editors and servers may write before a text (RFC 8259, section 8.1).
const ByteOrderMark = "\ufeff"

// Read returns the text of a file of up to 8 MiB in UTF-8, without a byte order mark. Its errors name the file and never
// repeat its content.
func Read(path string) (string, error) {
	text, err := ReadPEM(path)
	if err == nil && !utf8.ValidString(text) {
		err = fmt.Errorf("%s is not UTF-8: save it as UTF-8", path)
	}
	if err != nil {
		return "", err
	}
	return text, nil
}

// ReadPEM is Read for a file of PEM blocks, which are ASCII: the text between them may have any 8-bit charset.
func ReadPEM(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Size() > maxSize {
		return "", fmt.Errorf("%s is larger than %d bytes", path, maxSize)
	}
	raw, err := os.ReadFile(path) //nolint:gosec // the path is an operator's setting
	if err != nil {
		return "", err
	}
	text := string(raw)
	if strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") || strings.ContainsRune(text, 0) {
		return "", fmt.Errorf("%s is UTF-16 or binary: save it as UTF-8", path)
	}
	return strings.TrimPrefix(text, ByteOrderMark), nil
}

// Secret returns the text of a file without trailing line breaks. An empty text is an error.
func Secret(path string) (string, error) {
	text, err := Read(path)
	if err != nil {
		return "", err
	}
	if text = strings.TrimRight(text, "\r\n"); text == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return text, nil
}
