package subscriptions

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// requestIDOf returns the id in the only error of an answer, and fails without one.
func requestIDOf(t *testing.T, body []byte) string {
	t.Helper()
	found := regexp.MustCompile(`"requestId":"([A-Z2-7]{26}|given)"`).FindAllSubmatch(body, -1)
	if len(found) != 1 {
		t.Fatalf("not one id in %s", body)
	}
	return string(found[0][1])
}

// accessLine waits for the only line of the access log with all parts.
func accessLine(t *testing.T, w *e2e.World, parts ...string) string {
	t.Helper()
	var found []string
	e2e.Await(t, fmt.Sprint("a line with ", parts), func() bool {
		found = nil
	lines:
		for line := range strings.Lines(w.Logs.String()) {
			for _, part := range append(parts, `"msg":"request"`) {
				if !strings.Contains(line, part) {
					continue lines
				}
			}
			found = append(found, line)
		}
		return len(found) > 0
	})
	if len(found) > 1 {
		t.Fatalf("%d lines: %s", len(found), found)
	}
	return found[0]
}

// TestWebSocketRequestIDs verifies that each operation has an id, which its errors tell, and a line in the access log
// at its end.
func TestWebSocketRequestIDs(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}))
	s := w.Socket(nil)
	w.Sim.Fail(e2e.ForPath("/openapi/packages"), consolesim.Fault{Status: 500})
	ids := make(map[string]bool)
	ask := func(query, code string) {
		s.Subscribe("a", query)
		m := s.Receive()
		id := requestIDOf(t, m.Payload)
		if m.Type == "next" {
			s.Completed("a")
		}
		line := accessLine(t, w, `"request_id":"`+id+`"`, `"codes":["`+code+`"]`)
		if ids[id] || !strings.Contains(line, `"connection":"`) {
			t.Errorf("%s", line)
		}
		ids[id] = true
	}
	ask(`query Failing { packages { totalCount } }`, "UPSTREAM_UNAVAILABLE")
	ask(`query { `, "GRAPHQL_PARSE_FAILED")
	ask(`query { nothing }`, "GRAPHQL_VALIDATION_FAILED")
	ask(`mutation { deleteQueue(input: {id: "x"}) { deletedId } }`, "BAD_USER_INPUT")

	robot := w.Sim.Data().RobotIDs(w.Sim.Data().MainDepartmentID())[0]
	s.Subscribe("b", `subscription Watched { robotEvents(ids: ["`+robot+`"], initial: true) { type } }`)
	s.Next("b")
	if strings.Contains(w.Logs.String(), `"name":"Watched"`) {
		t.Error("the line came before the end")
	}
	s.Send(e2e.Message{ID: "b", Type: "complete"})
	line := accessLine(t, w, `"name":"Watched"`)
	for _, part := range []string{`"type":"subscription"`, `"events":1`, `"connection":"`, `"as":"service"`, `"caller":"default"`} {
		if !strings.Contains(line, part) {
			t.Errorf("%s is not in %s", part, line)
		}
	}
	_ = s.Conn.CloseNow()
	accessLine(t, w, `"status":101`, `"route":"/graphql"`)
}

// TestEventRequestIDs verifies the same for Server-Sent Events, whose operation is the request.
func TestEventRequestIDs(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}))
	w.Sim.Fail(e2e.ForPath("/openapi/packages"), consolesim.Fault{Status: 500})
	failing := w.Events(http.MethodPost, `query Failing { packages { totalCount } }`, map[string]string{"X-Request-Id": "given"})
	if id := requestIDOf(t, failing.Answer().Body); id != "given" || failing.Resp.Header.Get("X-Request-Id") != "given" {
		t.Errorf("the id is %q", id)
	}
	robot := w.Sim.Data().RobotIDs(w.Sim.Data().MainDepartmentID())[0]
	e := w.Events(http.MethodGet, `subscription Watched { robotEvents(ids: ["`+robot+`"], initial: true) { type } }`, nil)
	e.Answer()
	e.Close()
	line := accessLine(t, w, `"name":"Watched"`)
	for _, part := range []string{`"type":"subscription"`, `"events":1`, `"status":200`, `"request_id":"` + e.Resp.Header.Get("X-Request-Id") + `"`} {
		if !strings.Contains(line, part) {
			t.Errorf("%s is not in %s", part, line)
		}
	}
}
