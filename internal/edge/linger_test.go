package edge

import (
	"bufio"
	"io"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/consoleql/consoleql/internal/edge/querylimit"
	"github.com/consoleql/consoleql/internal/principal"
)

// TestAnswersWhileAFileIsSent: a client that still sends the file of an upload that is refused can go on for a while, and gets
// the whole answer.
func TestAnswersWhileAFileIsSent(t *testing.T) {
	const answer = `{"errors":[]}`
	s := &server{opts: Options{Limits: querylimit.Limits{}.WithDefaults()}}
	limited := s.limitBody(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 1<<10)) // such as the part operations
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, answer)
	}))
	for name, tt := range map[string]struct {
		head string
		sent int
		ends bool // within the bound
	}{
		"all that the server drops": {"", 3 << 20, true},
		"with Expect":               {"Expect: 100-continue\r\n", 3 << 20, true},
		"more":                      {"", 5 << 20, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := servedPipe(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					limited.ServeHTTP(w, r.WithContext(principal.NewContext(r.Context(), principal.FromToken("t"))))
				}))
				sent := make(chan error, 1)
				go func() {
					_, err := io.WriteString(client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 20000000\r\n"+tt.head+"\r\n")
					for n := 0; n < tt.sent && err == nil; n += 32 << 10 {
						_, err = client.Write(make([]byte, 32<<10))
					}
					sent <- err
				}()
				from := bufio.NewReader(client)
				resp, err := http.ReadResponse(from, nil)
				if err == nil && resp.StatusCode == http.StatusContinue {
					resp, err = http.ReadResponse(from, nil)
				}
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusBadRequest || string(body) != answer {
					t.Errorf("%d %q, %v", resp.StatusCode, body, err)
				}
				if rest, err := io.ReadAll(from); err != nil || len(rest) > 0 {
					t.Errorf("the connection ends with %q, %v", rest, err)
				}
				if err := <-sent; (err == nil) != tt.ends {
					t.Errorf("the client sends: %v", err)
				}
			})
		})
	}
}
