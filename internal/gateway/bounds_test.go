package gateway

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestNumbersAreBounded verifies that Validate reports each number and each duration that is too large to calculate with. The
// other numbers are only compared.
func TestNumbersAreBounded(t *testing.T) {
	t.Parallel()
	s, err := DefaultSettings()
	if err != nil {
		t.Fatal(err)
	}
	numbers, all := 0, reflect.ValueOf(s).Elem()
	for _, field := range reflect.VisibleFields(all.Type()) {
		value := all.FieldByIndex(field.Index)
		switch {
		case field.Anonymous, field.Tag.Get("kong") == "-":
			continue
		case slices.Contains([]string{"ShutdownDelay", "SlowOperation", "Replicas"}, field.Name):
			continue
		case value.CanInt():
			value.SetInt(math.MaxInt64)
		case value.CanUint():
			value.SetUint(math.MaxUint64)
		default:
			continue
		}
		numbers++
	}
	text := errorText(s.Validate())
	if got := strings.Count(text, "must be at most"); got != numbers || numbers < 25 || strings.Contains(text, "must be positive") {
		t.Errorf("%d of %d numbers are reported: %s", got, numbers, text)
	}
	s.CacheLife, s.CacheStaleIfError = DurationsByKind{"robots": 200 * 365 * 24 * time.Hour}, DurationsByKind{"robots": 200 * 365 * 24 * time.Hour}
	if text := errorText(s.Validate()); !strings.Contains(text, "--cache-life") {
		t.Errorf("a lifetime that overflows is accepted: %s", text)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
