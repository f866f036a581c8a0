// Package textfile reads files of keys, passwords and documents, and reloads them when their content changes.
package textfile

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"
)

// maxSize bounds a file, in bytes.
const maxSize = 8 << 20

// bom is the UTF-8 byte order mark, which Windows editors write before a text.
const bom = "\ufeff"

// Read returns the text of a file of up to 8 MiB without a byte order mark. Its errors name the file and never repeat
// its content.
func Read(path string) (string, error) {
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
	text, err := decode(string(raw))
	if err != nil {
		return "", fmt.Errorf("%s %w", path, err)
	}
	return text, nil
}

func decode(text string) (string, error) {
	switch {
	case strings.HasPrefix(text, "\xff\xfe"), strings.HasPrefix(text, "\xfe\xff"), strings.ContainsRune(text, 0):
		return "", errors.New("is UTF-16 or binary: save it as UTF-8")
	case !utf8.ValidString(text):
		return "", errors.New("is not UTF-8: save it as UTF-8")
	}
	return strings.TrimPrefix(text, bom), nil
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
