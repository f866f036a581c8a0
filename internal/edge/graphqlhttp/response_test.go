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
