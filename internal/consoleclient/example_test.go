package consoleclient_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// token is a console token that never expires.
type token string

func (t token) Token(context.Context) (string, error) { return string(t), nil }

func (token) Refused(context.Context, string) {}

// A client calls a console in a scope. It reads field names in either case, and enums by name or number. It skips
// unknown fields, such as a robot's credentials.
func Example() {
	console := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path != "/openapi/robots" {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"title": "Not Found", "status": 404}`)
			return
		}
		fmt.Fprint(w, `{"count": 2, "list": [
			{"id": "ac87fd69-af43-4378-984a-ca806f826e50", "name": "RPA-1", "status": "Busy", "clientSecret": "…"},
			{"Id": "545b37c3-286a-4296-9b40-e89b974a3b93", "Name": "RPA-2", "Status": 0}
		]}`)
	}))
	defer console.Close()
	client, err := consoleclient.New(consoleclient.Options{APIURL: console.URL, Tokens: token("…")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseIdleConnections()

	ctx := context.Background()
	sc := scope.Scope{CompanyID: "40143948-f359-4b9f-949f-ad179bcf1397", DepartmentID: "1c3464c8-6939-4b13-ba5d-45f44ed8b671"}
	page, err := client.Robots(ctx, sc, consoleclient.List[consoleclient.RobotFilter]{PageSize: 50})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(page.Count)
	for _, robot := range page.List {
		status, _ := robot.Status.MarshalText()
		fmt.Println(robot.Name, string(status))
	}
	_, err = client.Robot(ctx, sc, "1c3464c8-6939-4b13-ba5d-45f44ed8b671")
	fmt.Println(fault.CodeOf(err))
	// Output:
	// 2
	// RPA-1 Busy
	// RPA-2 Disconnected
	// NOT_FOUND
}
