package consoleclient

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/fault"
)

// TestProblemIsError: an error in the form of RFC 9457 is no success, whatever the status.
func TestProblemIsError(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 201, 202} {
		for _, body := range []string{
			`{"type":"about:blank","title":"Forbidden","status":403}`, `{"title":"Error","id":"` + guid + `"}`, `{"errors":{"Name":["is taken"]}}`,
		} {
			client := newTestClient(t, serve(t, statusAnswer(status, "Application/Problem+JSON; charset=utf-8", body)), nil)
			for operation, call := range calls() {
				var e *Error
				if err := call(t.Context(), client); !errors.As(err, &e) || e.Code != fault.UpstreamInvalidResponse || e.FaultOutcome() != fault.Unknown {
					t.Errorf("%d %s, %s: got %v", status, body, operation, err)
				}
			}
		}
	}
}

// TestCharset: JSON that is not UTF-8 is not the console's word, whatever charset it declares.
func TestCharset(t *testing.T) {
	t.Parallel()
	const gbk, latin1, wide = "\xb6\xd3\xc1\xd0", "Pr\xfcfung", "队列"
	for _, c := range []struct {
		contentType, name string
		legible           bool
	}{
		{"application/json; charset=gbk", gbk, false},
		{"application/json;charset=GB2312", gbk, false},
		{`application/json; charset="iso-8859-1"`, latin1, false},
		{"application/json; odata=verbose; Charset=windows-1252", latin1, false},
		{"text/plain; charset=gb18030", gbk, false},
		{"application/json; charset=gbk", "queue", true},
		{"application/json; charset=iso-8859-1", wide, true},
		{"application/json; charset=utf-8", wide, true},
		{"application/json; charset=UTF8", wide, true},
		{"application/json; charset=", wide, true},
		{"application/json; charset", wide, true},
		{"application/json; charset=utf-8", latin1, false},
		{"application/json", latin1, false},
		{"application/json", gbk, false},
		{"", gbk, false},
		{"text/plain", gbk, false},
		{"application/json", strings.Repeat(wide, 30_000) + "\xff", false},
		{"application/json", strings.Repeat(wide, 30_000), true},
		{"application/json", "\xed\xa0\x80", false},
		{"application/json", `\ud800`, true}, // a lone surrogate
	} {
		t.Run(fmt.Sprintf("%s %.20q", c.contentType, c.name), func(t *testing.T) {
			t.Parallel()
			entity := `{"id":"` + guid + `","name":"` + c.name + `"}`
			list := `{"count":1,"list":[` + entity + `]}`
			for operation, call := range calls() {
				body := entity
				if operation == "list" {
					body = list
				}
				err := call(t.Context(), newTestClient(t, serve(t, statusAnswer(200, c.contentType, body)), nil))
				if c.legible && err != nil || !c.legible && fault.CodeOf(err) != fault.UpstreamInvalidResponse {
					t.Errorf("%s: got %v", operation, err)
				}
			}
			for status, want := range map[int]fault.Code{400: fault.BadUserInput, 401: fault.Unauthenticated, 403: fault.Forbidden, 404: fault.NotFound} {
				problem := `{"title":"` + c.name + `"}`
				_, err := newTestClient(t, serve(t, statusAnswer(status, c.contentType, problem)), nil).Queue(t.Context(), testScope, guid)
				if !c.legible {
					want = fault.UpstreamInvalidResponse
				}
				if fault.CodeOf(err) != want || !c.legible && strings.ContainsRune(err.Error(), '\ufffd') {
					t.Errorf("status %d: got %v", status, err)
				}
			}
		})
	}
}

// TestErrorsOfGateways: a text, and an error that an API gateway sends with status 200, are no success.
func TestErrorsOfGateways(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{"application/json", "application/json; charset=utf-8", "application/problem+json", "text/plain", ""} {
		for _, body := range []string{
			`"Unauthorized"`, `["Unauthorized"]`, `{"message":"no Route matched with those values"}`, `{"Message":"Forbidden"}`,
			`{"error":"invalid_token"}`, `{"error":{"message":"x"}}`, `{"errors":{"Name":["is taken"]}}`, `{"errors":[{"message":"x"}]}`,
			`{"type":"about:blank","title":"Forbidden","status":403}`, `{"type":"about:blank","status":403}`, `{"statusCode":401,"message":"x"}`,
			`{"status_code":503}`, `{"code":401,"msg":"\u672a\u767b\u5f55"}`, `{"success":false}`, `{"success":false,"id":null,"error":null}`,
			`{"name":"JsonWebTokenError","message":"jwt expired"}`, `{"id":"request-1","error":{"message":"x"}}`, `{"data":null,"detail":"x"}`,
			`[{"code":"DuplicateName","title":"is taken"}]`, `{"fault":{"faultstring":"Invalid ApiKey"}}`, `{"list":null,"message":"x"}`,
		} {
			console := serve(t, statusAnswer(200, contentType, body))
			client := newTestClient(t, console, nil)
			for operation, call := range calls() {
				if isRead := operation == "get" || operation == "list" || operation == "self"; isRead && (strings.Contains(body, `"id":"`) || strings.Contains(body, `"list"`)) {
					continue // the response has what is read
				}
				before := len(console.all())
				var e *Error
				if err := call(t.Context(), client); !errors.As(err, &e) || e.Code != fault.UpstreamInvalidResponse || e.FaultOutcome() != fault.Unknown {
					t.Errorf("%q %s, %s: got %v", contentType, body, operation, err)
				}
				if n := len(console.all()) - before; n != 1 {
					t.Errorf("%q %s, %s: %d requests, want 1", contentType, body, operation, n)
				}
			}
		}
	}
}

// TestResultsAreNoErrors: a result may have members of an error.
func TestResultsAreNoErrors(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"id":"` + guid + `","message":"a","title":"b","status":500,"error":"c"}`, `{"success":true,"message":"deleted"}`, `"` + guid + `"`, `["` + guid + `"]`,
		`{"error":null,"errors":[],"message":"","success":true}`, `{"errors": [ ],"message":null}`, `{"status":200}`, `{"code":0}`, `{"code":"OK"}`,
		`{"count":0,"list":[],"message":"none"}`, `[{"workflowId":"` + guid + `","errorMessage":"a"}]`, `{"total":1,"failureCount":1,"message":"a"}`,
	} {
		client := newTestClient(t, serve(t, jsonAnswer(body)), nil)
		for operation, call := range calls() {
			if operation == "get" || operation == "list" || operation == "self" {
				continue
			}
			if err := call(t.Context(), client); err != nil {
				t.Errorf("%s, %s: got %v", body, operation, err)
			}
		}
	}
}

// TestPlainTextRefusesChangesOnly: text with status 400 or 422 is no refusal of a read, whose input the client has checked.
func TestPlainTextRefusesChangesOnly(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 422} {
		client := newTestClient(t, serve(t, statusAnswer(status, "text/plain", "blocked")), nil)
		for operation, call := range calls() {
			want := fault.BadUserInput
			if operation == "get" || operation == "list" || operation == "self" {
				want = fault.UpstreamInvalidResponse
			}
			var e *Error
			if err := call(t.Context(), client); !errors.As(err, &e) || e.Code != want || !e.FromIntermediary || e.Detail != "blocked" {
				t.Errorf("status %d, %s: got %v, want %s", status, operation, err, want)
			}
		}
	}
}
