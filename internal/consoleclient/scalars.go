package consoleclient

import (
	"encoding/json" // only for the Number that gqlgen passes
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// Int is a number of the console within the 32 bits of GraphQL's Int; larger values saturate. It accepts a number or
// a numeric text. Null and anything else become 0.
type Int int32

// UnmarshalJSONFrom accepts any value.
func (i *Int) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	s, _, err := readText(dec)
	if err != nil {
		return err
	}
	n, _ := parseInt(s)
	*i = saturate(n)
	return nil
}

// MarshalGQL writes the number.
func (i Int) MarshalGQL(w io.Writer) {
	_, _ = io.WriteString(w, strconv.Itoa(int(i))) // gqlgen's writers do not fail
}

// UnmarshalGQL accepts an integer of 32 bits and fails with fault.BadUserInput for other values.
func (i *Int) UnmarshalGQL(input any) error {
	var n int64
	switch v := input.(type) {
	case int:
		n = int64(v)
	case int32:
		n = int64(v)
	case int64:
		n = v
	case float64:
		if v != math.Trunc(v) || math.Abs(v) > math.MaxInt32+1 {
			return fault.BadInput("", "is not an integer of 32 bits")
		}
		n = int64(v)
	case json.Number:
		parsed, err := v.Int64()
		if err != nil {
			return fault.BadInput("", "is not an integer of 32 bits")
		}
		n = parsed
	default:
		return fault.BadInput("", "is not an integer")
	}
	held := saturate(n)
	if n != int64(held) {
		return fault.BadInput("", "is not an integer of 32 bits")
	}
	*i = held
	return nil
}

func saturate(n int64) Int { return Int(min(max(n, math.MinInt32), math.MaxInt32)) }

// parseInt parses an integer, or the integral part of a decimal number. It saturates at 64 bits.
func parseInt(s string) (int64, bool) {
	s = strings.TrimSpace(s)
	n, err := strconv.ParseInt(s, 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) {
		return n, true // out of range, ParseInt returns the limit
	}
	f, err := strconv.ParseFloat(s, 64)
	switch {
	case (err != nil && !errors.Is(err, strconv.ErrRange)) || math.IsNaN(f):
		return 0, false
	case f >= math.MaxInt64:
		return math.MaxInt64, true
	case f <= math.MinInt64:
		return math.MinInt64, true
	}
	return int64(f), true
}

// OptionalID is a GUID in lower case, or empty. It serves where null means "omitted", as in a filter.
type OptionalID string

// MarshalGQL writes the id, or null if empty.
func (id OptionalID) MarshalGQL(w io.Writer) {
	out := "null"
	if id != "" {
		out = strconv.Quote(string(id))
	}
	_, _ = io.WriteString(w, out) // gqlgen's writers do not fail
}

// UnmarshalGQL accepts a GUID, and null as empty. It fails with fault.BadUserInput.
func (id *OptionalID) UnmarshalGQL(input any) error {
	if input == nil {
		*id = ""
		return nil
	}
	text, err := graphql.UnmarshalID(input)
	if err != nil {
		return fault.BadInput("", "%w", err)
	}
	parsed, err := scope.ParseID(text)
	if err != nil {
		return fault.BadInput("", "%w", err)
	}
	*id = OptionalID(parsed)
	return nil
}

// DateTime is an RFC 3339 time in UTC as text. Empty means no time, which is null in GraphQL. Text can be compared
// and copied without parsing.
type DateTime string

// Formats of times besides RFC 3339. Parsing also accepts a fraction.
const (
	// layoutWithoutZone is .NET's format for a time of unspecified kind, which means UTC here.
	layoutWithoutZone = "2006-01-02T15:04:05"
	// The offsets of ISO 8601's basic format: +0800 and +08.
	layoutBasicOffset = "2006-01-02T15:04:05Z0700"
	layoutHourOffset  = "2006-01-02T15:04:05Z07"
)

// dateTimeOf parses RFC 3339 with any offset, also in the basic format, or without one, which means UTC. An empty text
// and the year 1, .NET's default time, become the empty DateTime. It fails with fault.BadUserInput.
func dateTimeOf(s string) (DateTime, error) {
	if s == "" {
		return "", nil
	}
	if isPlainTime(s) {
		return DateTime(s), nil
	}
	return parseDateTime(s)
}

func parseDateTime(s string) (DateTime, error) {
	normal := strings.ToUpper(strings.TrimSpace(s))
	if len(normal) > 10 && normal[10] == ' ' {
		normal = normal[:10] + "T" + normal[11:] // the format of databases
	}
	t, err := time.Parse(time.RFC3339, normal)
	for _, layout := range []string{layoutWithoutZone, layoutBasicOffset, layoutHourOffset} {
		if err == nil {
			break
		}
		t, err = time.Parse(layout, normal)
	}
	if err != nil {
		return "", fault.BadInput("", "is not an RFC 3339 time")
	}
	if t = t.UTC(); t.Year() <= 1 || t.Year() > 9999 {
		return "", nil
	}
	if normal == s && wellFormed(s) {
		return DateTime(s), nil
	}
	return DateTime(t.Format(time.RFC3339Nano)), nil
}

// isPlainTime reports whether s is already in the form that parsing returns. It recognizes RFC 3339 in UTC, days 1 to
// 28, years 2000 to 2099.
func isPlainTime(s string) bool {
	const form = "2000-00-00T00:00:00Z"
	if len(s) < len(form) || s[0] != '2' || s[1] != '0' || s[len(s)-1] != 'Z' {
		return false
	}
	for i := range len(form) - 1 {
		if form[i] == '0' && !isDigit(s[i]) || form[i] != '0' && form[i] != '2' && s[i] != form[i] {
			return false
		}
	}
	month, day, hour := s[5:7], s[8:10], s[11:13]
	if month < "01" || month > "12" || day < "01" || day > "28" || hour > "23" || s[14] > '5' || s[17] > '5' {
		return false
	}
	fraction := s[len(form)-1 : len(s)-1]
	if fraction == "" {
		return true
	}
	if fraction[0] != '.' || len(fraction) < 2 || len(fraction) > 10 {
		return false
	}
	for i := range len(fraction) - 1 {
		if !isDigit(fraction[i+1]) {
			return false
		}
	}
	return true
}

// wellFormed reports whether a text that time.Parse accepts is RFC 3339 in UTC. time.Parse accepts more than that.
func wellFormed(s string) bool {
	return len(s) >= len("2006-01-02T15:04:05Z") && s[13] == ':' && s[len(s)-1] == 'Z' && !strings.Contains(s, ",")
}

// Time returns the time, or the zero time if d is empty.
func (d DateTime) Time() time.Time {
	t, err := time.Parse(time.RFC3339, string(d))
	if err != nil {
		return time.Time{}
	}
	return t
}

// UnmarshalJSONFrom accepts the formats of dateTimeOf. Any other value becomes empty.
func (d *DateTime) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	s, kind, err := readText(dec)
	if err != nil {
		return err
	}
	*d = ""
	if kind == kindString {
		*d, _ = dateTimeOf(s) // an invalid time must not lose the entity
	}
	return nil
}

// MarshalGQL writes the text, or null if empty.
func (d DateTime) MarshalGQL(w io.Writer) {
	switch {
	case d == "":
		_, _ = io.WriteString(w, "null") // gqlgen's writers do not fail
	case strings.TrimLeft(string(d), "0123456789-:.TZ") == "": // the form that dateTimeOf returns
		_, _ = io.WriteString(w, `"`)
		_, _ = io.WriteString(w, string(d))
		_, _ = io.WriteString(w, `"`)
	default:
		graphql.MarshalString(string(d)).MarshalGQL(w)
	}
}

// UnmarshalGQL accepts RFC 3339 with an offset in the years 2 to 9999, and null as empty. It requires the offset
// because a local time would be read as UTC. It fails with fault.BadUserInput.
func (d *DateTime) UnmarshalGQL(input any) error {
	if input == nil {
		*d = ""
		return nil
	}
	text, ok := input.(string)
	if !ok || !isDateTime(text) {
		return fault.BadInput("", "is not an RFC 3339 time, such as 2006-01-02T15:04:05Z")
	}
	if !hasOffset(text) {
		return fault.BadInput("", "is an RFC 3339 time without an offset from UTC, such as Z or +08:00")
	}
	parsed, err := dateTimeOf(text)
	if err != nil {
		return err
	}
	if parsed == "" {
		return fault.BadInput("", "is not a time of the years 2 to 9999")
	}
	*d = parsed
	return nil
}

// isDateTime reports whether s begins with the form of RFC 3339, section 5.6. time.Parse accepts more than that.
func isDateTime(s string) bool {
	const form = "0000-00-00T00:00:00"
	if len(s) < len(form) {
		return false
	}
	for i := range len(form) {
		switch c := s[i]; form[i] {
		case '0':
			if !isDigit(c) {
				return false
			}
		case 'T':
			if c != 'T' && c != 't' && c != ' ' {
				return false
			}
		default:
			if c != form[i] {
				return false
			}
		}
	}
	if n := len(s); n > len(form)+5 && (s[n-6] == '+' || s[n-6] == '-') && s[n-3] == ':' && (s[n-5:n-3] > "23" || s[n-2:] > "59") {
		return false // time.Parse accepts this invalid offset
	}
	return !strings.Contains(s, ",") && strings.TrimSpace(s) == s
}

// hasOffset reports whether a time ends in an offset from UTC.
func hasOffset(s string) bool {
	last := s[len(s)-1]
	return last == 'Z' || last == 'z' || len(s) > 6 && (s[len(s)-6] == '+' || s[len(s)-6] == '-') && s[len(s)-3] == ':'
}
