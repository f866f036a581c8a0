package graphqlhttp_test

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/principal"
)

// zeros is a body without an end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// reserve reserves n bytes for a caller, and reports whether they were free.
func reserve(t *testing.T, p *graphqlhttp.BodyPool, who principal.Principal, n int64) (*graphqlhttp.Reservation, bool) {
	t.Helper()
	h := p.Begin(principal.NewContext(t.Context(), who))
	t.Cleanup(h.Release)
	_, err := io.Copy(io.Discard, h.Reader(io.LimitReader(zeros{}, n)))
	if err != nil && !errors.Is(err, graphqlhttp.ErrBusy) {
		t.Fatal(err)
	}
	return h, err == nil
}

// TestBodyPool verifies the shares of callers, one after another.
func TestBodyPool(t *testing.T) {
	t.Parallel()
	const mib, all = 1 << 20, graphqlhttp.BodyPoolBytes
	anonymous := principal.Principal{}
	key := func(name string) principal.Principal { return principal.ForAccount("robots", nil).WithKey(name) }
	user := func(id string) principal.Principal { return principal.Verified("token", id, time.Now().Add(time.Hour)) }
	type step struct {
		who  principal.Principal
		n    int64
		busy bool
	}
	for name, steps := range map[string][]step{
		"anonymous": {{anonymous, graphqlhttp.AnonymousBytes - 1, false}, {anonymous, 2, true}, {anonymous, 1, false}, {key("a"), 30 * mib, false}},
		"keys":      {{key("a"), all / 2, false}, {key("a"), mib, true}, {key("b"), 17 * mib, true}, {key("b"), 15 * mib, false}, {key("c"), 7 * mib, false}},
		"users":     {{user("a"), all / 2, false}, {user("a"), mib, true}, {user("b"), 15 * mib, false}},
		"a bearer":  {{principal.FromToken("a"), all / 4, false}, {principal.FromToken("a"), mib, true}, {principal.FromToken("b"), 7 * mib, false}, {key("a"), all / 4, false}},
		"a session": {{principal.FromSession("a"), all / 4, false}, {principal.FromSession("a"), mib, true}, {principal.FromSession("b"), 7 * mib, false}, {key("a"), all / 4, false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := graphqlhttp.NewBodyPool(0)
			for i, step := range steps {
				h, free := reserve(t, p, step.who, step.n)
				if free == step.busy {
					t.Errorf("step %d: busy is %t", i, !free)
				}
				if !free {
					h.Release() // as the refused request does
					h.Release()
				}
			}
		})
	}
}

// TestUnverifiedBearersAreLimited sends requests with many made-up bearer tokens. A large request with verified
// credentials and small requests of other bearers still find memory.
func TestUnverifiedBearersAreLimited(t *testing.T) {
	t.Parallel()
	p := graphqlhttp.NewBodyPool(0)
	refused := 0
	for i := range 100 {
		h, free := reserve(t, p, principal.FromToken(fmt.Sprint("made up ", i)), 1<<20)
		for n := int64(1 << 19); !free && n > graphqlhttp.SmallBytes; n /= 2 { // as much as there is
			h.Release()
			_, free = reserve(t, p, principal.FromToken(fmt.Sprint("made up ", i)), n)
			refused++
		}
	}
	if refused < 60 {
		t.Errorf("%d of 100 are refused", refused)
	}
	if _, free := reserve(t, p, principal.ForAccount("robots", nil).WithKey("a"), 1<<20); !free {
		t.Error("a caller with an API key is refused")
	}
	if _, free := reserve(t, p, principal.FromSession("a session"), 4<<10); !free {
		t.Error("a small request of a session is refused")
	}
}

// TestReservationsAreReleased verifies that the bytes of requests are free after them, and that those of a WebSocket
// are its caller's.
func TestReservationsAreReleased(t *testing.T) {
	t.Parallel()
	p := graphqlhttp.NewBodyPool(0)
	for _, who := range []principal.Principal{{}, principal.FromToken("a"), principal.ForAccount("robots", nil).WithKey("a")} {
		h, free := reserve(t, p, principal.Principal{}, graphqlhttp.AnonymousBytes)
		if !free {
			t.Fatalf("bytes are still counted before %s", who)
		}
		h.Identify(principal.NewContext(t.Context(), who))
		other, free := reserve(t, p, principal.Principal{}, 1)
		if other.Release(); !free {
			t.Errorf("the bytes of a connection are counted after %s is known", who)
		}
		if _, err := io.Copy(io.Discard, h.Reader(io.LimitReader(zeros{}, 1<<20))); err != nil {
			t.Errorf("%s: %v", who, err)
		}
		h.Release()
		h.Release()
	}
}
