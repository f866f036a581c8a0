package consoleclient

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/internal/fault"
)

const (
	maxProblemBytes   = 256 << 10 // of an unsuccessful response
	maxProblemText    = 1024      // characters of a title or detail
	maxProblemInput   = 16 << 10  // bytes of a text that are read
	maxProblemReasons = 20        // texts in a detail
	maxProblemDepth   = 4         // nesting depth of a reason
)

// MaxProxyRetryAfter bounds the pause that an intermediary asks for because of an outage. It does not know when the
// server behind it is well again.
const MaxProxyRetryAfter = 5 * time.Second

// statusError returns the error for an unsuccessful status. If the body breaks off, the console's answer is unknown, unless
// the status itself reports a failure or too many requests.
func (ex exchange) statusError(ctx context.Context, resp *http.Response) error {
	e, err := problemOf(ex.operation, ex.byID(), resp)
	if err != nil && !isCorrupt(err) && e.Status < http.StatusInternalServerError && e.Status != http.StatusTooManyRequests {
		return connectionError(ctx, ex.operation, e.Status, false, err)
	}
	return e
}

// problemOf returns the problem of an unsuccessful response, and why its body could not be read. byID reports that the
// request got one entity by its id.
func problemOf(operation string, byID bool, resp *http.Response) (e *Error, err error) {
	e = &Error{
		Operation:  operation,
		Status:     resp.StatusCode,
		Title:      http.StatusText(resp.StatusCode),
		RetryAfter: retryAfter(resp.Header),
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProblemBytes))
	author := fromIntermediary
	if err == nil {
		author = responderOf(operation, resp.StatusCode, resp.Header, body, byID)
	}
	e.Code, e.FromIntermediary, e.Empty = codeOf(resp.StatusCode, author), author.isForeign(), author == fromServerEmpty
	if e.FromIntermediary && e.Status != http.StatusTooManyRequests {
		e.RetryAfter = min(e.RetryAfter, MaxProxyRetryAfter)
	}
	body = bytes.TrimSpace(withoutBOM(body))
	switch {
	case err != nil: // only the status is known
	case author == fromServer, author == ambiguousJSON && (isValidation(e.Status) || e.Status >= http.StatusInternalServerError):
		e.read(body, bearerOf(resp))
	case isPlainReason(resp, body):
		e.Detail = sanitize(string(body), bearerOf(resp))
		if !isRead(operation) { // the client builds the requests of reads from checked values
			e.Code = fault.BadUserInput
		}
	case e.Code == fault.UpstreamInvalidResponse && len(body) == 0:
		e.Detail = "the answer is empty"
	case e.Code == fault.UpstreamInvalidResponse:
		e.Detail = "the answer is not the console's own"
	}
	return e, err
}

// storageError returns the error for an unsuccessful response of the upload storage. Its XML is about the file and
// its address. It is never the console's response, and never a refusal of the caller.
func storageError(operation string, resp *http.Response) *Error {
	e, _ := problemOf(operation, false, resp) // its body is not used
	e.Code, e.FromIntermediary, e.Empty, e.Title, e.detail = codeOf(e.Status, fromIntermediary), true, false, http.StatusText(e.Status), ""
	if e.Detail = ""; e.Status < http.StatusInternalServerError {
		e.Detail = storageRefusal
	}
	return e
}

// storageRefusal replaces the storage's own text.
const storageRefusal = "the storage did not take the file"

// isPlainReason reports whether a response is ASP.NET's BadRequest("…"), which writes plain text. Only the text is
// used, because a proxy may have written it.
func isPlainReason(resp *http.Response, body []byte) bool {
	return isValidation(resp.StatusCode) && len(body) > 0 && body[0] != '<' && body[0] != '{' && mediaType(resp.Header) == "text/plain" && utf8.Valid(body)
}

// isRead reports whether an operation changes nothing.
func isRead(operation string) bool { return strings.HasPrefix(operation, http.MethodGet+" ") }

// bearerOf returns the token of the response's request, empty if there was none.
func bearerOf(resp *http.Response) string {
	if resp.Request == nil {
		return ""
	}
	return strings.TrimPrefix(resp.Request.Header.Get("Authorization"), "Bearer ")
}

// read sets the title and reason from JSON: a problem (RFC 7807), ASP.NET's validation errors, or the formats of
// gateways and frameworks. The details of a server failure (status 500 and above) may expose internals, so they go to
// the log only.
func (e *Error) read(body []byte, token string) {
	title, reason := reasonOf(body, token)
	if title != "" {
		e.Title = title
	}
	if e.Status >= http.StatusInternalServerError {
		e.detail = reason
	} else {
		e.Detail = reason
	}
	var grant struct {
		// Of any type, as text. They only matter for the SSO.
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &grant, decoding) == nil {
		e.oauthCode = strings.ToLower(strings.TrimSpace(grant.Error))
		e.oauth = e.oauthCode + " " + grant.Description
	}
}

// reasonOf returns the title and the reason of an error's JSON.
func reasonOf(body []byte, token string) (title, reason string) {
	r := reasons{token: token}
	members, byName := membersOf(body)
	if members == nil {
		r.add("", body, 0)
		return "", r.String()
	}
	title = sanitize(textOf(byName["title"]), token)
	for _, name := range []string{"detail", "message", "errormessage", "errordescription", "msg", "reason", "description"} {
		if text := textOf(byName[name]); strings.TrimSpace(text) != "" {
			r.addText("", text)
			break
		}
	}
	for _, name := range []string{"errors", "modelstate", "error"} {
		if name != "error" || len(r.texts) == 0 {
			r.add("", byName[name], 0)
		}
	}
	if title == "" && len(r.texts) == 0 && onlyTexts(members) {
		r.add("", body, 0) // ASP.NET's SerializableError: {"Name":["is taken"]}
	}
	return title, r.String()
}

// foldedName returns a member's name in lower case, without underscores and dashes.
func foldedName(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
}

func textOf(v jsontext.Value) string {
	var text string
	if v.Kind() != kindString || json.Unmarshal(v, &text, decoding) != nil {
		return ""
	}
	return text
}

// onlyTexts reports whether every member is a list.
func onlyTexts(members map[string]jsontext.Value) bool {
	for _, value := range members {
		if value.Kind() != kindArray {
			return false
		}
	}
	return true
}

// reasons collects texts that explain a refusal.
type reasons struct {
	token string
	texts []string
}

// String returns the texts on one line.
func (r *reasons) String() string { return sanitize(strings.Join(r.texts, "; "), "") }

func (r *reasons) addText(about, text string) {
	text = sanitize(text, r.token)
	if about = strings.Trim(sanitize(about, r.token), "$. "); about != "" && text != "" {
		text = about + ": " + text
	}
	if text != "" && len(r.texts) < maxProblemReasons && !slices.Contains(r.texts, text) {
		r.texts = append(r.texts, text)
	}
}

// add collects the texts of a value. Of an object's members it takes the one meant for people, or else all, each with
// its name.
func (r *reasons) add(about string, v jsontext.Value, depth int) {
	if depth > maxProblemDepth || len(r.texts) >= maxProblemReasons {
		return
	}
	switch v.Kind() {
	case kindString:
		r.addText(about, textOf(v))
	case kindArray:
		var list []jsontext.Value
		if json.Unmarshal(v, &list, decoding) == nil {
			for _, element := range list {
				r.add(about, element, depth+1)
			}
		}
	case kindObject:
		r.addMembers(about, v, depth)
	default: // a number or literal is no reason
	}
}

func (r *reasons) addMembers(about string, v jsontext.Value, depth int) {
	var members map[string]jsontext.Value
	if json.Unmarshal(v, &members, decoding) != nil {
		return
	}
	names := slices.Sorted(maps.Keys(members))
	field := about
	for _, name := range names {
		if n := foldedName(name); n == "field" || n == "property" || n == "propertyname" || n == "name" {
			if text := textOf(members[name]); text != "" && about == "" {
				field = text
			}
		}
	}
	for _, wanted := range []string{"message", "errormessage", "detail", "description", "msg", "reason", "title"} {
		for _, name := range names {
			if foldedName(name) == wanted && strings.TrimSpace(textOf(members[name])) != "" {
				r.addText(field, textOf(members[name]))
				return
			}
		}
	}
	for _, name := range names {
		r.add(name, members[name], depth+1)
	}
}

// jwt matches a JSON Web Token (RFC 7519, section 3), or the beginning of one.
var jwt = regexp.MustCompile(`eyJ[\w-]{8,}(\.[\w-]*)*`)

// sanitize returns s as one bounded line without control and format characters, parts of the token or any JWT.
func sanitize(s, token string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), unicode.In(r, unicode.Zl, unicode.Zp):
			return ' '
		case unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s[:min(len(s), maxProblemInput)], "\ufffd"))
	s = jwt.ReplaceAllString(withoutToken(s, token), hiddenText)
	s, n := strings.TrimSpace(s), 0
	for at := range s {
		if n++; n > maxProblemText {
			return s[:at] + "…"
		}
	}
	return s
}
