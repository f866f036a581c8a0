package consoleclient

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/internal/fault"
)

// word says how far an HTTP answer is the word of the server that was asked. Proxies, portals and firewalls answer in its
// place, with any status.
type word int

const (
	// foreignWord: another answered, and nothing is known of what the server would say.
	foreignWord word = iota
	// emptyWord: the answer has no body, and its status is the server's for this one request.
	emptyWord
	// ownWord: the answer is the server's JSON.
	ownWord
)

// wordOf decides whether an answer is the word of the server that was asked. JSON is its word whatever the content type
// says, except HTML. An empty body is its word for 2xx, 403 and 429, for 401 with a Bearer challenge (RFC 6750, section
// 3), and for 404 and 410 where byID says that one entity was asked for by its id.
func wordOf(status int, h http.Header, body []byte, byID bool) word {
	body = bytes.TrimSpace(withoutBOM(body))
	switch {
	case len(body) == 0 && silenceCounts(status, h, byID):
		return emptyWord
	case len(body) > 0 && !isPage(h) && isJSON(h, body):
		return ownWord
	}
	return foreignWord
}

func silenceCounts(status int, h http.Header, byID bool) bool {
	switch status {
	case http.StatusUnauthorized:
		return challengesBearer(h)
	case http.StatusForbidden, http.StatusTooManyRequests:
		return true
	case http.StatusNotFound, http.StatusGone:
		return byID
	}
	return isSuccess(status)
}

func isSuccess(status int) bool { return status >= 200 && status <= 299 }

// challengesBearer says whether one of the answer's challenges is of the scheme Bearer (RFC 9110, section 11.6.1).
func challengesBearer(h http.Header) bool {
	for _, header := range h.Values("Www-Authenticate") {
		for challenge := range strings.SplitSeq(header, ",") {
			if fields := strings.Fields(challenge); len(fields) > 0 && strings.EqualFold(fields[0], "Bearer") {
				return true
			}
		}
	}
	return false
}

// mediaType is the content type without its parameters, in lower case. Malformed parameters do not matter.
func mediaType(h http.Header) string {
	media, _, _ := strings.Cut(h.Get(headerContentType), ";")
	return strings.ToLower(strings.TrimSpace(media))
}

// isPage says whether the content type is that of a page for people.
func isPage(h http.Header) bool {
	media := mediaType(h)
	return media == "text/html" || media == "application/xhtml+xml"
}

// isJSON says whether the whole body is one JSON value. A bare number, literal or null is one only under a content type
// of JSON: a text such as "404" is no answer of the console.
func isJSON(h http.Header, body []byte) bool {
	if !jsontext.Value(body).IsValid(decoding) {
		return false
	}
	switch body[0] {
	case '{', '[', '"':
		return true
	}
	media := mediaType(h)
	return media == "application/json" || strings.HasSuffix(media, "+json")
}

// bom is the byte order mark of UTF-8, which some servers and editors put before JSON (RFC 8259, section 8.1).
const bom = "\xef\xbb\xbf"

func withoutBOM(b []byte) []byte { return bytes.TrimPrefix(b, []byte(bom)) }

// ReadJSON reads the JSON of a successful answer, of at most max bytes, without a byte order mark. It fails where the
// answer has another status than 2xx, is larger, or is not JSON: a page of a proxy, for instance.
func ReadJSON(resp *http.Response, maxBytes int64) ([]byte, error) {
	if !isSuccess(resp.StatusCode) {
		return nil, fmt.Errorf("the answer has status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(&limitedReader{r: resp.Body, left: maxBytes})
	if err != nil {
		return nil, err
	}
	if wordOf(resp.StatusCode, resp.Header, body, false) != ownWord {
		return nil, errors.New("the answer is not JSON")
	}
	return withoutBOM(body), nil
}

// kindOf says what a caller can make of an answer without success. Of a foreign one it is never that the console refuses,
// or that something does not exist.
func kindOf(status int, w word) fault.Code {
	kind := kindOfStatus(status)
	switch {
	case w != foreignWord, status >= 500, status == http.StatusRequestTimeout:
		return kind
	case status == http.StatusTooManyRequests:
		return fault.UpstreamUnavailable
	}
	return fault.UpstreamInvalidResponse
}
