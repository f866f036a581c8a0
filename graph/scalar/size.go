package scalar

import (
	"encoding/json"
	"io"
	"math"
	"strconv"

	"github.com/consoleql/consoleql/internal/fault"
)

// Size is a number of bytes, a whole number from 0 to 2^53. It is a Float in the graph, since
// an Int has 32 bits.
type Size int64

const maxSize = 1 << 53

// UnmarshalGQL accepts a whole number in any notation.
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
