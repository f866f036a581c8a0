package consoleclient

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/bytepool"
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
	large := newTestClient(t, serve(t, jsonAnswer(robots(400, 8000))), func(o *Options) { o.Memory, o.Timeout = memory, 2*time.Second })
	small := newTestClient(t, serve(t, jsonAnswer(robots(100, 100))), func(o *Options) { o.Memory = memory })
	all := List[RobotFilter]{PageSize: 500}
	ctx, _, end := memory.Begin(t.Context())
	for range 200 {
		if _, err := small.Robots(ctx, testScope, all); err != nil || memory.Used() != 0 {
			t.Fatalf("a small answer: %v; %d bytes are used", err, memory.Used())
		}
	}
	patient := newTestClient(t, serve(t, jsonAnswer(robots(400, 8000))), func(o *Options) { o.Memory = memory })
	if _, err := patient.Robots(ctx, testScope, all); err != nil || memory.Used() == 0 {
		t.Fatalf("a large answer: %v; %d bytes are used", err, memory.Used())
	}
	_, err := large.Robots(t.Context(), testScope, all)
	var told *fault.Error
	if !errors.Is(err, bytepool.ErrBusy) || !errors.As(err, &told) || told.Code != fault.RateLimited || told.RetryAfter == 0 {
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
