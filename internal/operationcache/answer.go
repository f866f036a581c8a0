package operationcache

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/internal/bytepool"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/responsecache"
)

// answer is a response that can be written repeatedly.
type answer struct {
	status     int
	header     http.Header
	body       []byte
	dependency responsecache.Dependency // of a query
	constant   bool                     // independent of the console, such as introspection
	stale      time.Duration            // age of stale data that was served because the console failed; 0: none
	query      bool                     // a query was executed
	summary    *operation.Summary       // of a query
	requestID  string                   // of the request that executed it
	parsed     parsedBody               // for transports that write no HTTP response

	// Set only for a cached answer:
	cached         bool
	begun, expires time.Time
	etag           string
	maxAge         []string // value of Cache-Control
	forms          [encodings]encodedBody
}

// constantTTL is the lifetime of an answer that depends only on the program. Clients cache it
// as long, and may then meet a new version.
const constantTTL = time.Minute

// parsedBody is the body in gqlgen's form, computed at its first use.
type parsedBody struct {
	once     sync.Once
	response graphql.Response
}

// encodedBody is the body in an encoding, computed at its first use for which there is memory.
type encodedBody struct {
	mu   sync.Mutex // held while the body is encoded
	body atomic.Pointer[[]byte]
}

// setCacheHeaders computes the headers that each response of a cached answer has.
func (a *answer) setCacheHeaders() {
	a.cached = true
	sum := sha256.Sum256(a.body)
	a.etag = `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	a.begun, a.expires = a.dependency.Begun(), a.dependency.Expires()
	if a.constant {
		a.begun = time.Now()
		a.expires = a.begun.Add(constantTTL)
	}
	a.maxAge = []string{"private, max-age=" + strconv.Itoa(max(0, int(a.expires.Sub(a.begun).Seconds())))}
}

// weight estimates the weight of a cached answer in memory. It includes the compressed forms in advance.
func (a *answer) weight() uint32 {
	const own = 1024
	return responsecache.Weight(own + len(a.body) + len(a.body)/2)
}

// write answers a request.
func (a *answer) write(w http.ResponseWriter, r *http.Request, by *encoder) {
	h := w.Header()
	var own [2]string // header values, in one allocation
	maps.Copy(h, a.header)
	if !a.cached {
		h.Set("Cache-Control", "no-store")
		if a.stale > 0 {
			h.Set("Age", strconv.Itoa(int(math.Ceil(a.stale.Seconds()))))
		}
	} else {
		// Rounded up, so that no client takes the answer for younger than it is.
		age := math.Ceil(time.Since(a.begun).Seconds())
		own[0] = strconv.Itoa(int(age))
		h["Cache-Control"], h["Age"] = a.maxAge, own[0:1:1]
		if r.Method == http.MethodGet {
			h.Set("ETag", a.etag)
			if matches(r.Header.Values("If-None-Match"), a.etag) {
				h.Del("Content-Type")
				h.Del("Content-Length") // that of the body as it was made (RFC 9110, section 8.6)
				w.WriteHeader(http.StatusNotModified)
				return
			}
		}
	}
	body := a.body
	if e := encodingFor(r.Header.Values("Accept-Encoding"), len(body)); e != identity && by != nil {
		if coded := a.in(r.Context(), e, by, 0); coded != nil { // a cached answer waits for no memory
			body = coded
			h["Content-Encoding"] = []string{e.name()}
		}
	}
	own[1] = strconv.Itoa(len(body))
	h["Content-Length"] = own[1:2:2]
	w.WriteHeader(a.status)
	_, _ = w.Write(body) //nolint:gosec // JSON, which browsers do not interpret; the client may have left
}

// compress compresses a large body in advance, while the operation in ctx holds its memory.
func (a *answer) compress(ctx context.Context, header http.Header, by *encoder) {
	if len(a.body) <= bytepool.Uncounted {
		return
	}
	if e := encodingFor(header.Values("Accept-Encoding"), len(a.body)); e != identity {
		a.in(ctx, e, by, memoryTimeout)
	}
}

// in returns the body in an encoding; nil: there was no memory for it within the wait.
func (a *answer) in(ctx context.Context, e encoding, by *encoder, wait time.Duration) []byte {
	f := &a.forms[e]
	if body := f.body.Load(); body != nil {
		return *body
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if body := f.body.Load(); body != nil {
		return *body
	}
	body := by.encode(context.WithoutCancel(ctx), e, graphqlhttp.Encoded{a.body}, wait)
	if body != nil {
		f.body.Store(&body)
	}
	return body
}

// matches reports whether If-None-Match contains the ETag (RFC 9110, section 13.1.2, weak
// comparison).
func matches(header []string, etag string) bool {
	for _, value := range header {
		for tag := range strings.SplitSeq(value, ",") {
			tag = strings.TrimSpace(tag)
			if tag == "*" || strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(etag, "W/") {
				return true
			}
		}
	}
	return false
}
