package scalar

import (
	"encoding/json"
	"io"
	"math"
	"strconv"

	"github.com/consoleql/consoleql/internal/fault"
)

// Size is a number of bytes. It is a Float of the graph, as an Int has 32 bits: a whole
// number from 0 to 2^53, up to which a Float holds every whole number.
type Size int64

const maxSize = 1 << 53

// UnmarshalGQL takes a whole number in whatever notation.
func (s *Size) UnmarshalGQL(v any) error {
	var n float64
	switch v := v.(type) {
	case int64:
		n = float64(v)
	case int:
		n = float64(v)
	case float64:
		n = v
	case json.Number:
		parsed, err := strconv.ParseFloat(v.String(), 64)
		if err != nil {
			n = -1
		} else {
			n = parsed
		}
	default:
		n = -1
	}
	if n < 0 || n > maxSize || n != math.Trunc(n) {
		return fault.BadInput("", "is no whole number of bytes from 0 to 2^53")
	}
	*s = Size(n)
	return nil
}

// MarshalGQL writes the number.
func (s Size) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, strconv.FormatInt(int64(s), 10)) }
