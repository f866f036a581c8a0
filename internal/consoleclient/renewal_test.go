package consoleclient

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// countedTokens returns a new token after each refusal.
type countedTokens struct{ refusals *int }

func (c countedTokens) Token(context.Context) (string, error) {
	return fmt.Sprintf("token-%d", *c.refusals), nil
}

func (c countedTokens) Refused(context.Context, string) { *c.refusals++ }

// expiredTokens is a console that accepts only token-1.
func expiredTokens(t *testing.T, answer string) *console {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token-1" {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		jsonAnswer(answer)(w, r)
	})
}

// TestRetryWithNewToken: after a 401 the call is repeated with the same body, path and query.
func TestRetryWithNewToken(t *testing.T) {
	const entity = `{"id":"` + guid + `","name":"n"}`
	file := "the whole file"
	for name, tt := range map[string]struct {
		answer string
		call   func(ctx context.Context, c *Client, sc scope.Scope) error
	}{
		"GET": {entity, func(ctx context.Context, c *Client, sc scope.Scope) error {
			_, err := c.Robot(ctx, sc, guid)
			return err
		}},
		"POST without a body": {`[` + entity + `]`, func(ctx context.Context, c *Client, sc scope.Scope) error {
			_, err := c.ExecuteWorkflow(ctx, sc, guid, WorkflowExecution{})
			return err
		}},
		"POST to a random path": {entity, func(ctx context.Context, c *Client, sc scope.Scope) error {
			_, err := c.CreateQueue(ctx, sc, QueueCreate{Name: "n"})
			return err
		}},
		"PATCH": {entity, func(ctx context.Context, c *Client, sc scope.Scope) error {
			_, err := c.UpdateQueue(ctx, sc, guid, QueueUpdate{})
			return err
		}},
		"DELETE": {``, func(ctx context.Context, c *Client, sc scope.Scope) error {
			return c.DeleteWorkflow(ctx, sc, guid)
		}},
		"a file that can be read again": {`{"id":"` + guid + `"}`, func(ctx context.Context, c *Client, sc scope.Scope) error {
			read := strings.NewReader("read before " + file)
			_, _ = read.Seek(int64(len("read before ")), io.SeekStart)
			_, err := c.UploadPackage(ctx, sc, read, int64(len(file)))
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			console, refusals := expiredTokens(t, tt.answer), 0
			client := newTestClient(t, console, func(o *Options) { o.Tokens = countedTokens{&refusals} })
			if err := tt.call(t.Context(), client, testScope); err != nil {
				t.Fatal(err)
			}
			all := console.all()
			if len(all) != 2 || refusals != 1 {
				t.Fatalf("%d calls, %d refusals", len(all), refusals)
			}
			if all[0].Method != all[1].Method || all[0].Path != all[1].Path || !bytes.Equal(all[0].Body, all[1].Body) {
				t.Errorf("first %s %s %q, then %s %s %q", all[0].Method, all[0].Path, all[0].Body, all[1].Method, all[1].Path, all[1].Body)
			}
			if strings.HasPrefix(name, "a file") && string(all[1].Body) != file {
				t.Errorf("the file is %q", all[1].Body)
			}
		})
	}
}

// TestCallsWithoutRetry: a consumed stream, a second 401, and other refusals are not repeated.
func TestCallsWithoutRetry(t *testing.T) {
	refuse := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.WriteHeader(status)
		}
	}
	execute := func(ctx context.Context, c *Client) error {
		_, err := c.ExecuteWorkflow(ctx, testScope, guid, WorkflowExecution{})
		return err
	}
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		call   func(ctx context.Context, c *Client) error
		code   fault.Code
		calls  int
	}{
		"a stream": {refuse(http.StatusUnauthorized), func(ctx context.Context, c *Client) error {
			_, err := c.UploadPackage(ctx, testScope, io.MultiReader(strings.NewReader("stream")), 6)
			return err
		}, fault.Unauthenticated, 1},
		"a 401 each time": {refuse(http.StatusUnauthorized), execute, fault.Unauthenticated, 2},
		"403":             {refuse(http.StatusForbidden), execute, fault.Forbidden, 1},
		"503":             {refuse(http.StatusServiceUnavailable), execute, fault.UpstreamUnavailable, 1},
	} {
		t.Run(name, func(t *testing.T) {
			console, refusals := serve(t, tt.answer), 0
			client := newTestClient(t, console, func(o *Options) { o.Tokens = countedTokens{&refusals} })
			if err := tt.call(t.Context(), client); fault.CodeOf(err) != tt.code {
				t.Errorf("got %v, want %s", err, tt.code)
			}
			if n := len(console.all()); n != tt.calls {
				t.Errorf("%d calls, want %d", n, tt.calls)
			}
		})
	}
}

// TestRetriesWithNewToken: the retries before a refused token count for the call with the new token, too.
func TestRetriesWithNewToken(t *testing.T) {
	sent, refusals := 0, 0
	console := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if sent++; sent == maxRetries+1 {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	client := newTestClient(t, console, func(o *Options) { o.Tokens = countedTokens{&refusals} })
	_, err := client.Robot(t.Context(), testScope, guid)
	if fault.CodeOf(err) != fault.UpstreamUnavailable || refusals != 1 || sent != maxRetries+2 {
		t.Errorf("sent %d times, refused %d times: %v", sent, refusals, err)
	}
}
