package operationcache

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/consoleql/consoleql/internal/bytepool"
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
	memory *bytepool.Pool // nil: it is not bounded
	zstd   *zstd.Encoder
	gzips  sync.Pool
}

func newEncoder(memory *bytepool.Pool) (*encoder, error) {
	// The window is 1 MiB. Clients accept at most 8 MiB (RFC 9659).
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, fmt.Errorf("operationcache: make an encoder: %w", err)
	}
	return &encoder{memory: memory, zstd: z, gzips: sync.Pool{New: func() any {
		w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
		return w
	}}}, nil
}

// memoryTimeout bounds how long a large body of an executed operation waits for the memory to compress it.
const memoryTimeout = 2 * time.Second

// encode returns body in an encoding; nil: there is no memory for it within the wait.
func (e *encoder) encode(ctx context.Context, as encoding, body graphqlhttp.Encoded, wait time.Duration) []byte {
	if body.Len() > bytepool.Uncounted {
		ctx, share, release := e.memory.Begin(ctx)
		defer release()
		limited, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		if share.Take(limited, body.Len()) != nil {
			return nil
		}
	}
	out := bytes.NewBuffer(make([]byte, 0, body.Len()/4))
	if as == inZstd {
		whole := body[0]
		if body[1] != nil {
			whole = slices.Concat(body[:]...)
		}
		return e.zstd.EncodeAll(whole, out.AvailableBuffer())
	}
	w := e.gzips.Get().(*gzip.Writer) //nolint:forcetypeassert // the pool contains only these
	defer e.gzips.Put(w)
	w.Reset(out)
	_, _ = body.WriteTo(w) // writing to a buffer cannot fail
	_ = w.Close()
	return out.Bytes()
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
