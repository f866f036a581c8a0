package tokencache

import (
	"context"
	"time"

	"github.com/consoleql/consoleql/internal/backoff"
)

// Store keeps one record per service account and session, and lets one holder at
// a time renew its tokens. Holders are named by an owner, a random text that is
// used for one claim only: it fences off a holder whose claim was lost, as
// whatever that one writes afterwards is refused. Memory serves one process,
// Redis any number of replicas; they behave alike.
type Store interface {
	// Load reads a record; the zero Record where there is none.
	Load(ctx context.Context, key string) (Record, error)
	// Claim asks for the right to renew a record's tokens.
	Claim(ctx context.Context, key string, c Claim) (Standing, Record, error)
	// Extend keeps a claim from lapsing; false where it is no longer the owner's.
	Extend(ctx context.Context, key, owner string, lease time.Duration) (bool, error)
	// Put keeps new tokens and ends the claim; false, and nothing kept, where it is
	// no longer the owner's. A service account's record that the store has lost is
	// made anew; a session's is not, as it may have been signed out. Asked again
	// with the same generation, as after an answer that was lost, it gives the same.
	Put(ctx context.Context, key, owner string, p Put) (bool, error)
	// Fail keeps why there are no new tokens, and ends the claim; false, and
	// nothing kept, where it is no longer the owner's. An empty owner stands for
	// everyone: failures are then counted without a claim.
	Fail(ctx context.Context, key, owner string, f Failure) (bool, error)
	// Create makes a record where there is none; false where there is one of another
	// generation. One of the same is the caller's own, whose answer was lost.
	Create(ctx context.Context, key string, p Put) (bool, error)
	// End forgets a record, and for as long as keep remembers that it has ended.
	End(ctx context.Context, key string, keep time.Duration) error
}

// Record is what a store holds of a principal. Its times are on the clock of
// whoever reads it, whatever the store's own.
type Record struct {
	Token Token
	// Generation names the token, and changes with it; empty: there is none.
	Generation string
	// Spent says that somebody may have used the refresh token: always so after a claim
	// of a service account, and after one of a session by a release that had no retries.
	Spent bool
	// Ends is when the session ends whatever happens; zero for a service account.
	Ends time.Time
	// Ended says that the session was signed out, or could not be renewed.
	Ended bool
	// Failures is how many attempts have failed since the last success, Reason why
	// the last did, and Until when the next may be made.
	Failures int
	Reason   Reason
	Until    time.Time
	// Busy is how much longer another's claim holds unless it is extended.
	Busy time.Duration
}

// Claim is what somebody wants of a record.
type Claim struct {
	Owner string
	Lease time.Duration
	// Seen is the generation that is too old for the claimant; empty: none is.
	Seen string
	// Session says that a record that does not exist is not to be made, and that the
	// refresh token is not marked as spent: there is nothing else to renew it with.
	Session bool
}

// Standing is the answer to a Claim.
type Standing int

// The standings.
const (
	// Absent: there is no such session.
	Absent Standing = iota
	// Ended: the session has ended.
	Ended
	// Fresh: the record holds a good token of another generation.
	Fresh
	// Paused: the last attempts failed, and it is too early for the next.
	Paused
	// Busy: somebody else is renewing the token.
	Busy
	// Claimed: the claimant is to renew the token. Record.Spent says whether the refresh
	// token may be used up already; a service account's counts as spent after the claim.
	Claimed
)

// Put is a token to be kept.
type Put struct {
	Token      Token
	Generation string
	// Keep is how long an unused record is remembered.
	Keep time.Duration
	// Ends is a session's end; zero for a service account.
	Ends time.Time
}

// Failure is an attempt that gave no token.
type Failure struct {
	Reason Reason
	// Unspent says that the refresh token is to be tried again.
	Unspent bool
	// First is the pause after the first failure beyond Free ones; each further one
	// doubles it, up to Most. Least is the shortest in any case.
	First, Most, Least time.Duration
	Free               int
}

// pause is how long the record is left alone after so many failures.
func (f Failure) pause(failures int) time.Duration {
	pause := f.Least
	if n := failures - f.Free; n > 0 {
		pause = max(pause, backoff.Exponential(f.First, f.Most, n-1))
	}
	return pause
}
