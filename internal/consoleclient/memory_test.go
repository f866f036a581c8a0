package consoleclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/bytepool"
	"github.com/consoleql/consoleql/internal/consoleclient/admission"
	"github.com/consoleql/consoleql/internal/fault"
)

// robots is a list of n robots, each with a name of that many bytes.
func robots(n, length int) string {
	one := fmt.Sprintf(`{"id":"%s","name":"%s"}`, guid, strings.Repeat("n", length))
	return fmt.Sprintf(`{"count":%d,"list":[%s]}`, n, strings.TrimSuffix(strings.Repeat(one+",", n), ","))
}

// TestLargeAnswersTakeMemory verifies that a large answer holds memory until the end of its operation, and waits while
// others hold all of it. Small answers do not wait.
func TestLargeAnswersTakeMemory(t *testing.T) {
	t.Parallel()
	memory := bytepool.New(8 << 20)
	small := newTestClient(t, serve(t, jsonAnswer(robots(100, 100))), func(o *Options) { o.Memory = memory })
	all := List[RobotFilter]{PageSize: 500}
	ctx, _, end := memory.Begin(t.Context())
	for range 200 {
		if _, err := small.Robots(t.Context(), testScope, all); err != nil || memory.Used() != 0 {
			t.Fatalf("a small answer: %v; %d bytes are used", err, memory.Used())
		}
	}
	for range 50 { // of one operation
		if _, err := small.Robots(ctx, testScope, all); err != nil {
			t.Fatal(err)
		}
	}
	if memory.Used() == 0 {
		t.Error("many small answers take no memory")
	}
	patient := newTestClient(t, serve(t, jsonAnswer(robots(400, 8000))), func(o *Options) { o.Memory = memory })
	if _, err := patient.Robots(ctx, testScope, all); err != nil || memory.Used() == 0 {
		t.Fatalf("a large answer: %v; %d bytes are used", err, memory.Used())
	}
	_, err := patient.Robots(t.Context(), testScope, all)
	var faultErr *fault.Error
	if !errors.Is(err, bytepool.ErrBusy) || !errors.As(err, &faultErr) || faultErr.Code != fault.RateLimited || faultErr.RetryAfter == 0 {
		t.Errorf("while the memory is taken: %v", err)
	}
	if _, err := small.Robots(t.Context(), testScope, all); err != nil {
		t.Errorf("a small answer meanwhile: %v", err)
	}
	end()
	if _, err := patient.Robots(t.Context(), testScope, all); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if used := memory.Used(); used != 0 {
		t.Errorf("%d bytes are used at the end", used)
	}
}

// TestWaitingForMemoryIsBounded verifies that a call waits for memory for at most 2 s in all. This time does not count
// as the console's. A sign-in does not wait.
func TestWaitingForMemoryIsBounded(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		timeout, held time.Duration
		busy          bool
		want          time.Duration
	}{
		"a short timeout": {time.Second, 1500 * time.Millisecond, false, 1500 * time.Millisecond},
		"a long timeout":  {time.Minute, time.Hour, true, maxMemoryWait},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				memory := bytepool.New(8 << 20)
				holding, holder, end := memory.Begin(t.Context())
				if err := holder.Take(holding, 8<<20); err != nil {
					t.Fatal(err)
				}
				released := time.AfterFunc(tt.held, end)
				defer released.Stop()
				rt := &roundTripper{do: func(int, *http.Request) (*http.Response, error) { return with(200, robots(400, 8000)) }}
				var observed []Call
				c := clientOver(t, rt, func(o *Options) {
					o.Memory, o.Timeout = memory, tt.timeout
					o.Observe = func(_ context.Context, call Call) { observed = append(observed, call) }
				})
				ctx, _, left := memory.Begin(t.Context())
				defer left()
				begun := time.Now()
				_, err := c.Robots(ctx, testScope, List[RobotFilter]{PageSize: 500})
				if errors.Is(err, bytepool.ErrBusy) != tt.busy || err != nil && !tt.busy || time.Since(begun) != tt.want {
					t.Errorf("%v after %v", err, time.Since(begun))
				}
				if len(observed) != 1 || observed[0].Duration != 0 {
					t.Errorf("observed %+v", observed)
				}
				begun = time.Now()
				sso, err := NewSSO(Options{SSOURL: "http://sso.test", Memory: memory, Transport: &roundTripper{do: func(int, *http.Request) (*http.Response, error) {
					return with(200, `{"access_token":"a","expires_in":3600,"token_type":"Bearer","refresh_token":"r","scope":"apigateway"}`)
				}}})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := sso.Refresh(ctx, "r"); err != nil || time.Since(begun) != 0 {
					t.Errorf("the sign-in: %v after %v", err, time.Since(begun))
				}
			})
		})
	}
}

// TestConsoleTime verifies that a request without an answer ends by its deadline, after the pauses, and with its caller.
func TestConsoleTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		c := newConsoleTime(t.Context(), time.Second)
		defer c.end()
		if err := c.pause(func() error { time.Sleep(time.Minute); return c.Err() }); err != nil {
			t.Errorf("in a pause: %v", err)
		}
		<-c.Done()
		if time.Since(begun) != time.Minute+time.Second || !errors.Is(c.Err(), context.DeadlineExceeded) {
			t.Errorf("ended by %v after %v", c.Err(), time.Since(begun))
		}
		if err := c.pause(func() error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("paused after its end: %v", err)
		}
		parent, cancel := context.WithCancel(t.Context())
		c = newConsoleTime(parent, time.Second)
		defer c.end()
		cancel()
		if <-c.Done(); !errors.Is(c.Err(), context.Canceled) {
			t.Errorf("cancelled by %v", c.Err())
		}
	})
}

// TestMemoryRefusalIsNotRecorded verifies that a call without memory says nothing about the console.
func TestMemoryRefusalIsNotRecorded(t *testing.T) {
	t.Parallel()
	if r := (exchange{}).result(t.Context(), bytepool.Busy()); r != admission.Ignored {
		t.Errorf("the result is %v", r)
	}
}

// TestPagesAreBounded verifies that a page with far more entities than were asked for is no answer. Some consoles serve
// more than the page size.
func TestPagesAreBounded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		size, served int
		want         fault.Code
	}{
		{5, maxServed, ""},
		{5, maxServed + 1, fault.UpstreamInvalidResponse},
		{maxServed, 2 * maxServed, ""},
		{maxServed, 2*maxServed + 1, fault.UpstreamInvalidResponse},
		{0, maxServed + 1, ""},
		{0, maxListed + 1, fault.UpstreamInvalidResponse},
	} {
		t.Run(fmt.Sprint(tt.size, tt.served), func(t *testing.T) {
			t.Parallel()
			client := newTestClient(t, serve(t, jsonAnswer(robots(tt.served, 1))), nil)
			page, err := client.Robots(t.Context(), testScope, List[RobotFilter]{PageSize: tt.size})
			if fault.CodeOf(err) != tt.want || err == nil && page.Served != tt.served {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestAnswersWithoutMemoryAreBounded verifies that answers that take no memory are short: those of the SSO and those to
// changes.
func TestAnswersWithoutMemoryAreBounded(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		length, most int64
		want         string
		call         func(*Client, *SSO) error
	}{
		"sign-in": {2 << 20, 1 << 20, "larger than 1048576 bytes", func(_ *Client, s *SSO) error {
			_, err := s.Password(t.Context(), "user", "password")
			return err
		}},
		"change": {16 << 20, 8 << 20, "larger than 8388608 bytes", func(c *Client, _ *SSO) error {
			return c.DeleteQueue(t.Context(), testScope, guid)
		}},
		"upload": {16 << 20, 8 << 20, "larger than 8388608 bytes", func(c *Client, _ *SSO) error {
			_, err := c.UploadPackage(t.Context(), testScope, strings.NewReader("file"), 4)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var read atomic.Int64
			rt := &roundTripper{do: func(int, *http.Request) (*http.Response, error) {
				resp, err := with(200, "")
				text := io.LimitReader(onlyLetters{}, tt.length)
				resp.Body = io.NopCloser(io.TeeReader(io.MultiReader(strings.NewReader(`{"name":"`), text, strings.NewReader(`"}`)), byteCounter{&read}))
				return resp, err
			}}
			sso, err := NewSSO(Options{SSOURL: "http://sso.test", Transport: rt})
			if err != nil {
				t.Fatal(err)
			}
			err = tt.call(clientOver(t, rt, nil), sso)
			if fault.CodeOf(err) != fault.UpstreamInvalidResponse || fault.OutcomeOf(err) != fault.Unknown || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, outcome %s", err, fault.OutcomeOf(err))
			}
			if n := read.Load(); n > tt.most+maxDrain+1 {
				t.Errorf("%d bytes were read", n)
			}
		})
	}
}

// onlyLetters is a text without an end.
type onlyLetters struct{}

func (onlyLetters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

// byteCounter counts the bytes that are written to it.
type byteCounter struct{ n *atomic.Int64 }

func (c byteCounter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}
