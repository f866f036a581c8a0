package transport

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// TestRawTransport compares the response with that of encoding/json.
func TestRawTransport(t *testing.T) {
	failed := gqlerror.List{{Message: `"<no>"`, Extensions: map[string]any{"code": "NOT_FOUND"}}}
	for name, resp := range map[string]graphql.Response{
		"data":        {Data: json.RawMessage(`{"a":"x<y","b":[1,null]}`)},
		"null":        {Data: json.RawMessage(`null`), Errors: failed},
		"errors":      {Data: json.RawMessage(`{"a":null}`), Errors: failed},
		"extensions":  {Data: json.RawMessage(`{}`), Extensions: map[string]any{"x": map[string]any{"y": 1}}},
		"both":        {Data: json.RawMessage(`{}`), Errors: failed, Extensions: map[string]any{"x": "&"}},
		"no data":     {Errors: failed},
		"nothing yet": {},
	} {
		t.Run(name, func(t *testing.T) {
			want, err := json.Marshal(resp)
			if err != nil {
				t.Fatal(err)
			}
			rec := httptest.NewRecorder()
			w := &rawWriter{ResponseWriter: rec}
			written := want
			if resp.Data != nil {
				w.response, written = &resp, []byte("what the transport writes")
			}
			if n, err := w.Write(written); n != len(written) || err != nil {
				t.Fatalf("wrote %d of %d, %v", n, len(written), err)
			}
			var wanted, got any
			if err := json.Unmarshal(want, &wanted); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
				t.Fatalf("%s: %v", rec.Body, err)
			}
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Errorf("- encoding/json + rawWriter: %s", diff)
			}
			if at := strings.Index(rec.Body.String(), string(resp.Data)); at < 0 {
				t.Errorf("the data is not as it was made: %s", rec.Body)
			}
			if length := rec.Header().Get("Content-Length"); resp.Data != nil && length != strconv.Itoa(rec.Body.Len()) {
				t.Errorf("Content-Length: %s of %d", length, rec.Body.Len())
			}
		})
	}
	if (&rawWriter{ResponseWriter: httptest.NewRecorder()}).Unwrap() == http.ResponseWriter(nil) {
		t.Error("the real writer cannot be reached")
	}
}

// TestRefusedOperationsHaveStatus verifies the status of an operation for which there was no room.
func TestRefusedOperationsHaveStatus(t *testing.T) {
	limited := gqlerror.List{{Message: "busy", Extensions: map[string]any{"code": "RATE_LIMITED"}}}
	for name, tt := range map[string]struct {
		response graphql.Response
		want     int
	}{
		"refused":       {graphql.Response{Errors: limited}, http.StatusServiceUnavailable},
		"a field":       {graphql.Response{Errors: limited, Data: json.RawMessage(`{"a":null}`)}, http.StatusOK},
		"another error": {graphql.Response{Errors: gqlerror.List{{Message: "no", Extensions: map[string]any{"code": "NOT_FOUND"}}}}, http.StatusOK},
	} {
		rec := httptest.NewRecorder()
		w := &rawWriter{ResponseWriter: rec, response: &tt.response}
		if _, err := w.Write(nil); err != nil || rec.Code != tt.want {
			t.Errorf("%s: status %d, want %d; %v", name, rec.Code, tt.want, err)
		}
	}
}
