package consoleclient

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
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
	// otherJSON: the answer is JSON, and an API gateway before the server may have written it. It is as foreign as
	// foreignWord, and a reason may be read from it.
	otherJSON
)

// wordOf decides whether an answer to operation is the word of the server that was asked. The content type does not
// matter, except that HTML never is its word. With success every JSON is, without it JSON in one of the server's forms of
// an error. An empty body is its word for 2xx, 403 and 429, for 401 with a Bearer challenge (RFC 6750, section 3), and for
// 404 and 410 where byID says that one entity was asked for by its id.
func wordOf(operation string, status int, h http.Header, body []byte, byID bool) word {
	body = bytes.TrimSpace(withoutBOM(body))
	switch {
	case len(body) == 0 && silenceCounts(status, h, byID):
		return emptyWord
	case len(body) == 0 || isPage(h) || !isJSON(h, body):
		return foreignWord
	case isSuccess(status) || isOwnError(operation, status, body):
		return ownWord
	}
	return otherJSON
}

// isOwnError says whether JSON of an answer without success is in a form that the console and its SSO use. API gateways
// before them answer in JSON, too: {"message":"Forbidden"}, for instance.
func isOwnError(operation string, status int, body []byte) bool {
	var object map[string]jsontext.Value
	if json.Unmarshal(body, &object, decoding) != nil {
		// A text, or a list of ASP.NET Identity's errors. With another status it may be anybody's.
		return isValidation(status)
	}
	members := make(map[string]jsontext.Value, len(object))
	for name, value := range object {
		members[plainName(name)] = value
	}
	is := func(name string, kind jsontext.Kind) bool { return members[name].Kind() == kind }
	switch {
	case is("title", kindString), is("detail", kindString), is("type", kindString) && is("status", kindNumber):
		return true // a problem (RFC 7807, section 3.1)
	case is("errors", kindObject), is("modelstate", kindObject):
		return true // ASP.NET's ValidationProblemDetails, and HttpError of its Web API
	case is("error", kindObject):
		return true
	case operation == OpToken && is("error", kindString):
		return true // OAuth (RFC 6749, section 5.2)
	}
	return isValidation(status) && len(members) > 0 && onlyTexts(object)
}

// isValidation says whether a status is one with which input is refused.
func isValidation(status int) bool {
	return status == http.StatusBadRequest || status == http.StatusUnprocessableEntity
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
	if wordOf("", resp.StatusCode, resp.Header, body, false) != ownWord {
		return nil, errors.New("the answer is not JSON")
	}
	return withoutBOM(body), nil
}

// isForeign says whether the answer is not, or may not be, that of the server that was asked.
func (w word) isForeign() bool { return w == foreignWord || w == otherJSON }

// kindOf says what a caller can make of an answer without success. Of a foreign one it is never that the console refuses
// its caller, or that something does not exist. That input is refused can be believed of an API gateway, too.
func kindOf(status int, w word) fault.Code {
	kind := kindOfStatus(status)
	switch {
	case !w.isForeign(), w == otherJSON && isValidation(status), status >= 500, status == http.StatusRequestTimeout:
		return kind
	case status == http.StatusTooManyRequests:
		return fault.UpstreamUnavailable
	}
	return fault.UpstreamInvalidResponse
}
