package consoleclient

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/textfile"
)

// gatewayErrors are error bodies of API gateways before a console.
var gatewayErrors = map[string]string{
	"Kong":                 `{"message":"no Route matched with those values","request_id":"8c6b"}`,
	"Kong's rate limit":    `{"message":"API rate limit exceeded"}`,
	"AWS":                  `{"message":"Forbidden"}`,
	"AWS, by null":         `{"message":null}`,
	"AWS, in upper case":   `{"Message":"User is not authorized to access this resource"}`,
	"Azure API Management": `{"statusCode":404,"message":"Resource not found"}`,
	"Spring Cloud Gateway": `{"timestamp":"2026-01-01T00:00:00Z","path":"/openapi/queues","status":404,"error":"Not Found","requestId":"1-2"}`,
	"Spring Boot":          `{"timestamp":1,"status":404,"error":"Not Found","errors":[],"path":"/openapi/queues"}`,
	"APISIX":               `{"error_msg":"404 Route Not Found"}`,
	"Tyk":                  `{"error":"Requested endpoint is forbidden"}`,
	"KrakenD":              `{"error":null,"status":404,"title":null}`,
	"Chinese gateways":     `{"code":404,"msg":"未找到","success":false}`,
	"Kubernetes":           `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`,
	"OAuth, not of an SSO": `{"error":"invalid_token","error_description":"expired"}`,
	"a type alone":         `{"type":"about:blank"}`,
	"a status alone":       `{"status":404}`,
	"an empty object":      `{}`,
}

// TestProxyErrorsAreNotConsoleErrors: an API gateway's JSON is no refusal, no "not found", and causes no token
// refresh. The outcome of a mutation is unknown. Only for rejected input the reason is shown.
func TestProxyErrorsAreNotConsoleErrors(t *testing.T) {
	for _, status := range []int{302, 400, 401, 403, 404, 405, 409, 410, 412, 413, 415, 422, 423, 429, 451} {
		for name, body := range gatewayErrors {
			t.Run(fmt.Sprint(status, " ", name), func(t *testing.T) {
				t.Parallel()
				console := serve(t, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("WWW-Authenticate", `Bearer realm="gateway"`)
					statusAnswer(status, "application/json", body)(w, r)
				})
				tokens := &countingTokens{}
				client := newTestClient(t, console, func(o *Options) { o.Tokens = tokens })
				want := fault.UpstreamInvalidResponse
				switch status {
				case 400, 422:
					want = fault.BadUserInput
				case 429:
					want = fault.UpstreamUnavailable
				}
				for operation, call := range calls() {
					var e *Error
					if err := call(t.Context(), client); !errors.As(err, &e) || e.Code != want || !e.FromIntermediary || e.Empty || e.Status != status {
						t.Errorf("%s: got %#v", operation, err)
					} else if e.FaultOutcome() != fault.Unknown {
						t.Errorf("%s: the outcome is %s", operation, e.FaultOutcome())
					}
				}
				if tokens.refused > 0 {
					t.Errorf("%d tokens were taken for refused", tokens.refused)
				}
			})
		}
	}
}

// TestConsoleErrorFormats: these forms count as the console's with any status; names match in any case.
func TestConsoleErrorFormats(t *testing.T) {
	for name, body := range map[string]string{
		"a problem":              `{"type":"https://tools.ietf.org/html/rfc7231#section-6.5.4","title":"Not Found","status":404,"traceId":"00-1"}`,
		"a title":                `{"title":"Not Found"}`,
		"a detail":               `{"detail":"It is not there."}`,
		"in Pascal case":         `{"Type":"about:blank","Title":"Not Found","Status":404,"Detail":"D","Extensions":{}}`,
		"in upper case":          `{"TITLE":"Not Found"}`,
		"a type and a status":    `{"type":"about:blank","status":404}`,
		"beside a message":       `{"message":"Not Found","detail":"D"}`,
		"ASP.NET's errors":       `{"errors":{"Name":["is taken"]}}`,
		"ASP.NET's Web API":      `{"Message":"The request is invalid.","ModelState":{"q.Name":["is taken"]}}`,
		"an error object":        `{"error":{"code":"NotFound","message":"It is not there."}}`,
		"an error in upper case": `{"Error":{}}`,
		"a byte order mark":      textfile.ByteOrderMark + `{"title":"Not Found"}`,
	} {
		t.Run(name, func(t *testing.T) {
			for status, want := range map[int]fault.Code{
				400: fault.BadUserInput, 401: fault.Unauthenticated, 403: fault.Forbidden, 404: fault.NotFound, 409: fault.Conflict, 429: fault.RateLimited,
			} {
				client := newTestClient(t, serve(t, statusAnswer(status, "application/json", body)), nil)
				for operation, call := range calls() {
					var e *Error
					if err := call(t.Context(), client); !errors.As(err, &e) || e.Code != want || e.FromIntermediary || e.Empty || e.FaultOutcome() != fault.Refused {
						t.Errorf("%s, status %d: got %#v", operation, status, err)
					}
				}
			}
		})
	}
}

// TestProxyErrorsRefuseNoGrant: an API gateway's error is no refusal of the SSO.
func TestProxyErrorsRefuseNoGrant(t *testing.T) {
	for name, body := range gatewayErrors {
		for _, status := range []int{400, 401, 403, 404, 422, 423, 429} {
			_, own := map[string]bool{"Tyk": true, "OAuth, not of an SSO": true, "Spring Cloud Gateway": true, "Spring Boot": true}[name]
			sso := newTestSSO(t, serve(t, statusAnswer(status, "application/json", body)))
			for grant, err := range map[string]error{
				"password": second(sso.Password(t.Context(), "u", "p")), "refresh": second(sso.Refresh(t.Context(), "r")),
			} {
				if own && status == 423 && grant == "password" {
					continue // with an OAuth error, 423 is a locked account
				}
				if code := fault.CodeOf(err); code != fault.UpstreamInvalidResponse && code != fault.UpstreamUnavailable && code != fault.RateLimited {
					t.Errorf("%s, status %d, %s: got %v (%s)", name, status, grant, err, code)
				}
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }
