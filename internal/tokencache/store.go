package tokencache

import (
	"context"
	"time"

	"github.com/consoleql/consoleql/internal/backoff"
)

// Store keeps one record per service account and session. Its claims let one holder at a time renew the tokens. An
// owner names a claim: a random text that is used once. It is a fencing token: writes of a holder that has lost its
// claim are refused. Memory serves one process, Redis any number of replicas. Both behave alike.
type Store interface {
	// Load reads a record; the zero Record if there is none.
	Load(ctx context.Context, key string) (Record, error)
	// Claim asks for the right to renew a record's tokens.
	Claim(ctx context.Context, key string, c Claim) (ClaimStatus, Record, error)
	// Extend keeps a claim from expiring. It returns false if the claim is not the owner's any more.
	Extend(ctx context.Context, key, owner string, lease time.Duration) (bool, error)
	// Put stores new tokens and ends the claim. It returns false, and stores nothing, if the claim is not the owner's
	// any more. It makes the record of a service account that the store has lost. It does not make a session's, which
	// may have been signed out. A repeated call with the same generation, as after a lost answer, returns the same.
	// Put.Replaces stands for a claim.
	Put(ctx context.Context, key, owner string, p Put) (bool, error)
	// Fail stores the reason of a failure, and ends the claim. It returns false, and stores nothing, if the claim is
	// not the owner's any more. With an empty owner, it counts a failure without a claim.
	Fail(ctx context.Context, key, owner string, f Failure) (bool, error)
	// Create makes a record. It returns false if there is one of another generation. One of
	// the same generation is the caller's own, whose answer was lost.
	Create(ctx context.Context, key string, p Put) (bool, error)
	// End removes a record, and remembers for the time keep that it has ended.
	End(ctx context.Context, key string, keep time.Duration) error
}

// Record is the record of a principal. Its times are on the reader's clock, whatever the store's is.
type Record struct {
	Token Token
	// Generation names the token, and changes with it; empty: there is no token.
	Generation string
	// Spent says that the refresh token may have been used. A claim of a service account sets
	// it, and so does a session's claim by a release without retries.
	Spent bool
	// Ends is the latest end of a session; zero for a service account.
	Ends time.Time
	// Ended says that the session was signed out, or could not be renewed.
	Ended bool
	// Failures is the number of failed attempts since the last success. Reason is why the last
	// one failed, and Until when the next one may begin.
	Failures int
	Reason   Reason
	Until    time.Time
	// Busy is how long another owner's claim still lasts, if it is not extended.
	Busy time.Duration
}

// Claim is a request to renew a record's tokens.
type Claim struct {
	Owner string
	Lease time.Duration
	// Seen is the generation that is too old for the claimant; empty: none is.
	Seen string
	// Session says that the claim makes no record, and does not mark the refresh token as
	// spent: nothing else can renew a session.
	Session bool
}

// ClaimStatus is the answer to a Claim.
type ClaimStatus int

// The values of ClaimStatus.
const (
	// Absent: there is no such session.
	Absent ClaimStatus = iota
	// Ended: the session has ended.
	Ended
	// Fresh: the record has a good token of another generation.
	Fresh
	// Paused: attempts failed, and it is too early for the next one.
	Paused
	// Busy: another owner renews the token.
	Busy
	// Claimed: the claimant must renew the token. Record.Spent says whether the refresh token
	// may be used up. A service account's counts as spent after the claim.
	Claimed
)

// Put is a token to store.
type Put struct {
	Token      Token
	Generation string
	// TTL is how long an unused record is kept.
	TTL time.Duration
	// Ends is the latest end of a session; zero for a service account.
	Ends time.Time
	// Replaces is the generation that the token replaces. It needs no claim. Empty: none.
	Replaces string
}

// Failure is a failed attempt to get a token.
type Failure struct {
	Reason Reason
	// Unspent says that the refresh token may be tried again.
	Unspent bool
	// InitialPause is the pause after the first failure beyond FreeFailures ones. Each further failure
	// doubles it, up to MaxPause. MinPause is the shortest pause in any case.
	InitialPause, MaxPause, MinPause time.Duration
	FreeFailures                     int
}

// pause is the pause after so many failures.
func (f Failure) pause(failures int) time.Duration {
	pause := f.MinPause
	if n := failures - f.FreeFailures; n > 0 {
		pause = max(pause, backoff.Exponential(f.InitialPause, f.MaxPause, n-1))
	}
	return pause
}
