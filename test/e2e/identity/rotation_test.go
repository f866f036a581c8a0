package identity

import (
	"context"
	"flag"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// The size of the rotation tests. `make rotation` uses the full size.
var (
	expiries   = flag.Int("expiries", 3, "through how many expiries of a token the rotation tests go")
	tokenLife  = flag.Duration("token-life", 2*time.Second, "how long a token of the rotation tests lives, in whole seconds")
	thinkTime  = flag.Duration("think-time", 500*time.Millisecond, "how long a caller of the rotation tests pauses between two requests")
	killPeriod = flag.Duration("kill-period", 2*time.Second, "how often a process of the rotation tests is killed")
)

// TestTokensRotateOnce sends requests from fifty callers to each of four processes while their
// token expires repeatedly. Each expiry costs one refresh, no refresh token is used twice, and
// no caller gets an error.
func TestTokensRotateOnce(t *testing.T) {
	t.Parallel()
	rotate(t, 0)
}

// TestTokensRotateDespiteKills kills a process every few seconds. A kill costs at most one
// login, and only callers of the killed process get errors.
func TestTokensRotateDespiteKills(t *testing.T) {
	t.Parallel()
	rotate(t, *killPeriod)
}

func rotate(t *testing.T, period time.Duration) {
	const processes, callers = 4, 50
	f := e2e.NewFleet(t, processes, consolesim.Options{TokenLifetime: *tokenLife})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	began := time.Now()
	f.Sim.ResetGrants()
	loaded := make(chan struct{})
	go func() {
		defer close(loaded)
		f.Load(ctx, callers, *thinkTime, nil, nil)
	}()
	kills, next := 0, began.Add(period)
	deadline := began.Add(time.Minute + time.Duration(*expiries)*3**tokenLife)
	for {
		if _, refreshes, _, _ := f.Grants(); refreshes >= *expiries {
			break
		}
		if time.Now().After(deadline) {
			t.Error("the tokens do not rotate")
			break
		}
		if period > 0 && time.Now().After(next) {
			f.Kill(kills % processes)
			f.Start(kills % processes)
			kills++
			next = next.Add(period)
		}
		time.Sleep(20 * time.Millisecond)
	}
	stop()
	<-loaded
	elapsed := time.Since(began)
	logins, refreshes, refused, reused := f.Grants()
	t.Logf("%v: %d answers, slowest %v, %d kills with %d requests on them; %d logins, %d refreshes, %d refused, %d reused",
		elapsed.Round(time.Millisecond), f.Answered.Load(), f.Slowest.Round(time.Millisecond), kills, f.Lost.Load(), logins, refreshes, refused, reused)
	for said, n := range f.Errors {
		t.Errorf("%d callers got %s", n, said)
	}
	if reused > 0 || refused > 0 {
		t.Errorf("%d refresh tokens were used twice, %d grants refused", reused, refused)
	}
	// The first login may precede the count.
	if logins > kills {
		t.Errorf("%d logins after %d kills", logins, kills)
	}
	// A token is refreshed after at least four fifths of its life. More grants than that mean
	// two for one expiry.
	if most := int(elapsed/(*tokenLife*78/100)) + 1; logins+refreshes > most {
		t.Errorf("%d grants in %v, want at most %d", logins+refreshes, elapsed, most)
	}
	if f.Answered.Load() < int64(processes*callers) {
		t.Errorf("only %d answers", f.Answered.Load())
	}
}
