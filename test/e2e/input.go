package e2e

import (
	"strings"
)

// FilterOf returns the input type of a list's filter.
func FilterOf(list string) string {
	return strings.ToUpper(list[:1]) + strings.TrimSuffix(list[1:], "s") + "Filter"
}
