package operationcache

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
)

// minCompressBytes is the minimum length of a compressed body, in bytes. Compressing a shorter
// one saves no packet.
const minCompressBytes = 1200

// encoding is a content coding (RFC 9110, section 8.4.1).
type encoding int

// The encodings, the preferred one first.
const (
	inZstd encoding = iota
	inGzip
	encodings          // number of encodings
	identity  encoding = -1
)

func (e encoding) name() string {
	switch e {
	case inZstd:
		return "zstd"
	case inGzip:
		return "gzip"
	default:
		return "identity"
	}
}

// encoder encodes whole bodies. It is safe for concurrent use.
type encoder struct {
	zstd  *zstd.Encoder
	gzips sync.Pool
}

func newEncoder() (*encoder, error) {
	// The window is 1 MiB. Clients accept at most 8 MiB (RFC 9659).
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, fmt.Errorf("edge: make an encoder: %w", err)
	}
	return &encoder{zstd: z, gzips: sync.Pool{New: func() any {
		w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
		return w
	}}}, nil
}

// encode returns body in an encoding.
func (e *encoder) encode(as encoding, body []byte) []byte {
	switch as {
	case inZstd:
		return e.zstd.EncodeAll(body, make([]byte, 0, len(body)/4))
	case inGzip:
		out := bytes.NewBuffer(make([]byte, 0, len(body)/4))
		w := e.gzips.Get().(*gzip.Writer) //nolint:forcetypeassert // the pool contains only these
		defer e.gzips.Put(w)
		w.Reset(out)
		_, _ = w.Write(body) // writing to a buffer cannot fail
		_ = w.Close()
		return out.Bytes()
	default:
		return body
	}
}

// encodingFor returns the encoding for a body of that many bytes.
func encodingFor(header []string, length int) encoding {
	worth := length >= minCompressBytes
	if !worth && !slices.ContainsFunc(header, func(value string) bool { return strings.Contains(value, "=0") }) {
		return identity
	}
	best, must := acceptable(header)
	if !worth && !must {
		return identity
	}
	return best
}

// acceptable returns the encoding that Accept-Encoding prefers, and whether it refuses
// identity (RFC 9110, section 12.5.3). An asterisk means gzip, since tools send it that
// support no newer encoding. A client that refuses everything gets identity.
func acceptable(header []string) (best encoding, must bool) {
	if len(header) == 0 {
		return identity, false
	}
	weights := make(map[string]float64, 4)
	for _, value := range header {
		for part := range strings.SplitSeq(value, ",") {
			name, parameters, _ := strings.Cut(part, ";")
			name = strings.ToLower(strings.TrimSpace(name))
			if name == "x-gzip" { // RFC 9110, section 8.4.1.3
				name = inGzip.name()
			}
			weights[name] = graphqlhttp.Weight(parameters)
		}
	}
	others, hasOthers := weights["*"]
	if _, named := weights[inGzip.name()]; !named {
		weights[inGzip.name()] = others
	}
	best, most := identity, 0.0
	for e := range encodings {
		if q := weights[e.name()]; q > most {
			best, most = e, q
		}
	}
	plain, named := weights[identity.name()]
	if named && plain > most {
		return identity, false
	}
	return best, named && plain == 0 || !named && hasOthers && others == 0
}
