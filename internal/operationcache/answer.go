package operationcache

import (
	"crypto/sha256"
	"encoding/base64"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

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
	summary    *operation.Summary       // of a query
	requestID  string                   // of the request that executed it

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

// encodedBody is the body in an encoding, computed at its first use.
type encodedBody struct {
	once sync.Once
	body []byte
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

// weight estimates the size of a cached answer in bytes. It includes the compressed forms in
// advance. The size of a large answer counts fourfold, so that large answers take at most a
// share of the memory.
func (a *answer) weight() uint32 {
	const own, large, factor = 1024, 1 << 20, 4
	n := own + len(a.body) + len(a.body)/2
	if n > large {
		n *= factor
	}
	return uint32(min(n, math.MaxUint32))
}

// write answers a request.
func (a *answer) write(w http.ResponseWriter, r *http.Request, by *encoder) {
	h := w.Header()
	var own [2]string // header values, in one allocation
	for name, values := range a.header {
		h[name] = values
	}
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
				w.WriteHeader(http.StatusNotModified)
				return
			}
		}
	}
	body := a.body
	if e := encodingFor(r.Header.Values("Accept-Encoding"), len(body)); e != identity && by != nil {
		body = a.in(e, by)
		h["Content-Encoding"] = []string{e.name()}
	}
	own[1] = strconv.Itoa(len(body))
	h["Content-Length"] = own[1:2:2]
	w.WriteHeader(a.status)
	_, _ = w.Write(body) // the client may have left
}

// in returns the body in an encoding.
func (a *answer) in(e encoding, by *encoder) []byte {
	f := &a.forms[e]
	f.once.Do(func() { f.body = by.encode(e, a.body) })
	return f.body
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
