package graphqlhttp

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/fault"
)

func TestWriteError(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"a fault":       {fault.BadInput("CompanyId", "is no GUID"), `{"errors":[{"message":"CompanyId: is no GUID","extensions":{"argument":"CompanyId","code":"BAD_USER_INPUT"}}]}`},
		"anything else": {errors.New("10.0.0.1"), `{"errors":[{"message":"internal error","extensions":{"code":"INTERNAL"}}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			WriteError(w, httptest.NewRequest(http.MethodPost, "/graphql", nil), http.StatusBadRequest, tt.err)
			if got := strings.TrimSpace(w.Body.String()); got != tt.want || w.Code != http.StatusBadRequest || w.Header().Get("Content-Type") != "application/json; charset=utf-8" {
				t.Errorf("%d %s", w.Code, got)
			}
		})
	}
}

// TestAnswerType verifies that the most specific media range determines the weight of a type (RFC 9110, section 12.5.1).
func TestAnswerType(t *testing.T) {
	const modern, plain = TypeGraphQLResponse, TypeJSON
	for accept, want := range map[string]string{
		"":                                    plain,
		"text/html":                           plain,
		"*/*":                                 plain,
		"application/*":                       plain,
		"*/*;q=0.1, application/*;q=1":        plain,
		"*/*;q=0":                             plain,
		plain + ";q=0":                        plain,
		modern:                                modern,
		modern + ", " + plain:                 modern,
		plain + ", " + modern:                 plain,
		modern + ", " + plain + ";q=.9":       modern,
		modern + ";q=0.9, " + plain:           plain,
		modern + ", */*":                      modern,
		"*/*, " + modern:                      plain,
		modern + ";q=0.5, */*":                plain,
		plain + ", */*":                       plain,
		"*/*, " + plain:                       plain,
		"application/*, " + plain + ", */*":   plain,
		modern + ";q=0, " + plain + ";q=0":    plain,
		plain + ";q=0, */*":                   modern,
		"*/*, " + plain + ";q=0":              modern,
		modern + ";q=0, */*":                  plain,
		plain + ";q=0.2, application/*;q=0.9": modern,
		"*/*;q=0.1, " + plain + ";q=0.2, application/*":       modern,
		plain + ";q=0.9, application/*;q=0.2, */*":            plain,
		plain + ";q=0, " + modern + ";q=0, */*":               plain,
		plain + ";q=0.2, " + plain + ", " + modern + ";q=0.5": plain,
	} {
		r := httptest.NewRequest(http.MethodPost, "/graphql", nil)
		r.Header.Set("Accept", accept)
		if got := AnswerType(r); got != want {
			t.Errorf("Accept: %s is answered as %s", accept, got)
		}
	}
}
