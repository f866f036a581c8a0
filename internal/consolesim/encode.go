package consolesim

import (
	"encoding/json"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// wireTime is the console's format of times: UTC with milliseconds.
const wireTime = "2006-01-02T15:04:05.000Z"

// encoder writes JSON in the console's dialect. Keys are given in camelCase. A comma follows
// each value; end removes the last.
type encoder struct {
	b       []byte
	d       Dialect
	unknown bool   // some enum values are unknown to the document
	id      string // id of the entity being written: determines which of its enums are unknown
}

func (e *encoder) begin()               { e.b = append(e.b, '{') }
func (e *encoder) beginList()           { e.b = append(e.b, '[') }
func (e *encoder) beginAt(k string)     { e.key(k); e.begin() }
func (e *encoder) beginListAt(k string) { e.key(k); e.beginList() }

func (e *encoder) end()     { e.close('}') }
func (e *encoder) endList() { e.close(']') }

func (e *encoder) close(c byte) {
	if n := len(e.b) - 1; e.b[n] == ',' {
		e.b = e.b[:n]
	}
	e.b = append(e.b, c, ',')
}

// bytes returns what was written, without the trailing comma.
func (e *encoder) bytes() []byte {
	if n := len(e.b) - 1; n >= 0 && e.b[n] == ',' {
		return e.b[:n]
	}
	return e.b
}

// extra reports whether the answer has undocumented fields.
func (e *encoder) extra() bool { return !e.d.NoExtraFields }

func (e *encoder) key(k string) {
	e.b = append(e.b, '"')
	if c := k[0]; e.d.PascalKeys && 'a' <= c && c <= 'z' {
		e.b = append(append(e.b, c-'a'+'A'), k[1:]...)
	} else {
		e.b = append(e.b, k...)
	}
	e.b = append(e.b, '"', ':')
}

func (e *encoder) null(k string) {
	e.key(k)
	e.b = append(e.b, "null,"...)
}

func (e *encoder) str(k, v string) {
	e.key(k)
	if k == "id" || strings.HasSuffix(k, "Id") || k == "createdBy" || k == "modifiedBy" {
		v = e.d.GUIDs.print(v)
	}
	e.value(v)
}

// opt writes a text for which "" means null.
func (e *encoder) opt(k, v string) {
	if v == "" {
		e.null(k)
		return
	}
	e.str(k, v)
}

func (e *encoder) value(v string) {
	e.b = append(appendQuoted(e.b, v), ',')
}

func (e *encoder) int(k string, v int64) {
	e.key(k)
	e.b = append(strconv.AppendInt(e.b, v, 10), ',')
}

func (e *encoder) bool(k string, v bool) {
	e.key(k)
	e.b = append(strconv.AppendBool(e.b, v), ',')
}

// time writes a point in time; the zero time is null.
func (e *encoder) time(k string, t time.Time) {
	if t.IsZero() {
		e.null(k)
		return
	}
	e.key(k)
	e.b = append(e.b, '"')
	e.b = t.UTC().AppendFormat(e.b, wireTime)
	e.b = append(e.b, '"', ',')
}

func (e *encoder) strs(k string, v []string) {
	e.beginListAt(k)
	for _, s := range v {
		if strings.HasSuffix(k, "Ids") {
			s = e.d.GUIDs.print(s)
		}
		e.value(s)
	}
	e.endList()
}

// props writes a map of texts. Its keys are data and keep their case.
func (e *encoder) props(k string, m map[string]string) {
	e.beginAt(k)
	for _, name := range slices.Sorted(maps.Keys(m)) {
		e.b = append(appendQuoted(e.b, name), ':')
		e.value(m[name])
	}
	e.end()
}

// enum writes one of the names of table in the dialect's form; "" is null.
func (e *encoder) enum(k string, table []string, v string) {
	if v == "" {
		e.null(k)
		return
	}
	unknown := e.unknown && hash64(e.id, k)%4 == 0
	switch {
	case e.d.EnumIntegers && unknown:
		e.int(k, unknownEnumInteger)
	case e.d.EnumIntegers:
		e.int(k, int64(slices.Index(table, v)))
	case unknown:
		e.str(k, unknownEnumName)
	default:
		e.str(k, v)
	}
}

// conditions writes the notification conditions, which have their own integers.
func (e *encoder) conditions(k string, v []string) {
	if !e.d.ConditionIntegers {
		e.strs(k, v)
		return
	}
	e.beginListAt(k)
	for _, c := range v {
		if n, ok := conditionNumbers[c]; ok {
			e.b = append(strconv.AppendInt(e.b, n, 10), ',')
		} else {
			e.value(c)
		}
	}
	e.endList()
}

func (e *encoder) ints(k string, v []int64) {
	e.beginListAt(k)
	for _, n := range v {
		e.b = append(strconv.AppendInt(e.b, n, 10), ',')
	}
	e.endList()
}

// appendQuoted appends s as a JSON string.
func appendQuoted(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' {
			return appendEscaped(b, s)
		}
	}
	if !utf8.ValidString(s) {
		return appendEscaped(b, s)
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func appendEscaped(b []byte, s string) []byte {
	q, err := json.Marshal(s)
	if err != nil { // cannot fail: every string has a JSON form
		return append(b, `""`...)
	}
	return append(b, q...)
}

// hash64 is a stable hash of its parts. It replaces randomness where results must be
// reproducible.
func hash64(parts ...string) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		_, _ = h.Write([]byte(p)) // a hash never fails
		_, _ = h.Write([]byte{0})
	}
	// FNV's low bits are weak on short input.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return x
}
