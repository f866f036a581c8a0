package consoleclient

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
	"github.com/consoleql/consoleql/internal/textfile"
)

// responder classifies who wrote an HTTP response. Proxies, portals and firewalls can answer instead of the server, with
// any status.
type responder int

const (
	// fromIntermediary: an intermediary answered, and the server's answer is unknown.
	fromIntermediary responder = iota
	// fromServerEmpty: the server answered without a body, and its status concerns this one request.
	fromServerEmpty
	// fromServer: the server answered with JSON.
	fromServer
	// ambiguousJSON: the response is JSON that an API gateway before the server may have written. It counts as foreign,
	// but a reason may be read from it.
	ambiguousJSON
)

// responderOf reports who wrote the response to operation. HTML, and text that is not UTF-8, are always foreign. Otherwise
// the content type does not matter. On success any JSON is the server's, except a problem that is declared as one, and
// JSON that reports an error. Otherwise the JSON must have one of the server's error forms. Whatever the content type, an empty
// body is the server's for 2xx, 403 and 429. It also is for 401 with a Bearer challenge (RFC 6750, section 3). For 404
// and 410, it is if byID says that the request got one entity by its id.
func responderOf(operation string, status int, h http.Header, body []byte, byID bool) responder {
	body = bytes.TrimSpace(withoutBOM(body))
	switch {
	case len(body) == 0 && acceptsEmptyBody(status, h, byID):
		return fromServerEmpty
	case len(body) == 0 || isHTML(h) || !utf8.Valid(body) || !isJSON(h, body),
		isSuccess(status) && (reportsError(body) || isProblem(h) && isOwnError(operation, status, body)):
		return fromIntermediary
	case isSuccess(status) || isOwnError(operation, status, body):
		return fromServer
	}
	return ambiguousJSON
}

// isOwnError reports whether the JSON of an unsuccessful response has a form of the console or its SSO. API gateways
// before them also answer with JSON, for instance {"message":"Forbidden"}.
func isOwnError(operation string, status int, body []byte) bool {
	object, members := membersOf(body)
	if object == nil {
		// A text, or a list of ASP.NET Identity errors. With any other status, anyone may have written it.
		return isValidation(status)
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

// membersOf returns the members of an object, by their names and by their folded names; nil for any other JSON.
func membersOf(v jsontext.Value) (object, folded map[string]jsontext.Value) {
	if v.Kind() != kindObject || json.Unmarshal(v, &object, decoding) != nil {
		return nil, nil
	}
	folded = make(map[string]jsontext.Value, len(object))
	for name, value := range object {
		folded[foldedName(name)] = value
	}
	return object, folded
}

// reportsError reports whether the JSON of a successful response is an error, or a text in place of an entity. API
// gateways and portals send such JSON with status 200. JSON with an entity's id is no error, whatever its other members
// are. Neither is JSON without details, such as {} or {"success":true}.
func reportsError(v jsontext.Value) bool {
	switch v.Kind() {
	case kindString:
		text := strings.TrimSpace(textOf(v))
		return text != "" && !isGUID(text)
	case kindArray:
		var list []jsontext.Value
		_ = json.Unmarshal(v, &list, decoding) // it is valid JSON
		return slices.ContainsFunc(list, reportsError) && !slices.ContainsFunc(list, isEntity)
	case kindObject:
		return !isEntity(v) && hasErrorMember(v)
	default: // a number or literal says nothing
		return false
	}
}

// isEntity reports whether JSON is an object with the id of an entity, a list of entities, or the result of an upgrade.
func isEntity(v jsontext.Value) bool {
	_, members := membersOf(v)
	for _, id := range []string{"id", "packageId", "workflowId", "robotId"} {
		if isGUID(textOf(members[foldedName(id)])) {
			return true
		}
	}
	for _, count := range []string{"total", "successcount", "failurecount", "missingcount"} {
		if members[count].Kind() == kindNumber {
			return true
		}
	}
	list := members["list"].Kind()
	return list == kindArray || list == kindObject
}

// hasErrorMember reports whether an object has a member of the common error formats that is not empty.
func hasErrorMember(object jsontext.Value) bool {
	_, members := membersOf(object)
	if isTrue(string(members["success"])) {
		return false
	}
	for _, name := range []string{"error", "errors", "modelstate", "fault", "message", "errormessage", "msg", "title", "detail"} {
		v := strings.Join(strings.Fields(string(members[name])), "")
		if !slices.Contains([]string{"", "null", "false", "0", `""`, "[]", "{}"}, v) {
			return true
		}
	}
	for _, name := range []string{"status", "statuscode", "code"} {
		if n, ok := parseInt(strings.Trim(string(members[name]), `"`)); ok && n >= 400 && n <= 599 {
			return true
		}
	}
	return string(members["success"]) == "false"
}

func isGUID(text string) bool {
	_, err := scope.ParseID(text)
	return err == nil
}

// isValidation reports whether a status rejects the input.
func isValidation(status int) bool {
	return status == http.StatusBadRequest || status == http.StatusUnprocessableEntity
}

func acceptsEmptyBody(status int, h http.Header, byID bool) bool {
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

// mediaType returns the content type without parameters, in lower case. It tolerates malformed parameters.
func mediaType(h http.Header) string {
	media, _, _ := strings.Cut(h.Get(headerContentType), ";")
	return strings.ToLower(strings.TrimSpace(media))
}

// isHTML reports whether the content type is HTML.
func isHTML(h http.Header) bool {
	media := mediaType(h)
	return media == "text/html" || media == "application/xhtml+xml"
}

// isProblem reports whether the content type is that of an error (RFC 9457). Some servers use it for all JSON.
func isProblem(h http.Header) bool { return mediaType(h) == "application/problem+json" }

// isJSON reports whether the whole body is one JSON value. A bare number, literal or null needs a JSON content type,
// because a text such as "404" is no answer of the console.
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

func withoutBOM(b []byte) []byte { return bytes.TrimPrefix(b, []byte(textfile.ByteOrderMark)) }

// ReadJSON reads the JSON of a successful response, up to maxBytes bytes, without a byte order mark. It fails if the
// status is not 2xx, if the body is larger, or if it is not JSON.
func ReadJSON(resp *http.Response, maxBytes int64) ([]byte, error) {
	if !isSuccess(resp.StatusCode) {
		return nil, fmt.Errorf("the answer has status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(&limitedReader{r: resp.Body, left: maxBytes})
	if err != nil {
		return nil, err
	}
	if responderOf("", resp.StatusCode, resp.Header, body, false) != fromServer {
		return nil, errors.New("the answer is not JSON")
	}
	return withoutBOM(body), nil
}

// isForeign reports whether an intermediary wrote, or may have written, the response.
func (r responder) isForeign() bool { return r == fromIntermediary || r == ambiguousJSON }

// codeOf returns the error code for an unsuccessful response. A foreign response never becomes a refusal of the
// caller or "not found". Rejected input is the exception, because an API gateway may report it, too.
func codeOf(status int, r responder) fault.Code {
	code := codeOfStatus(status)
	switch {
	case !r.isForeign(), r == ambiguousJSON && isValidation(status), status >= 500, status == http.StatusRequestTimeout:
		return code
	case status == http.StatusTooManyRequests:
		return fault.UpstreamUnavailable
	}
	return fault.UpstreamInvalidResponse
}
