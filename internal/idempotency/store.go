package idempotency

import (
	"context"
	"time"
)

// Record is what one claimant wants to own: an id, and what to write there.
type Record struct {
	// ID is the record's name and Input the digest of the call's input: hashes.
	ID, Input string
	// Owner is the claimant's fencing token, never used by another claimant.
	Owner string
	// Lease is how long a sign of life is good for, Retention how long the record
	// is kept after it was last written. Both run on the store's clock.
	Lease, Retention time.Duration
}

// ClaimStatus is how a claimant stands with a record.
type ClaimStatus int

// The standings.
const (
	// Claimed: the record is the claimant's, who may run.
	Claimed ClaimStatus = iota + 1
	// Pending: another owner is at work.
	Pending
	// Done: the record holds the result.
	Done
	// Oversized: done, with a result that was too large to keep.
	Oversized
	// Lost: done or not, nobody knows.
	Lost
	// Foreign: the record belongs to another input.
	Foreign
	// Released: the claimant itself gave the record up before (a claim that was
	// delayed on its way); it may not run.
	Released
)

// Claim is the answer to a claim.
type Claim struct {
	Status ClaimStatus
	// Result is what Done comes with.
	Result []byte
}

// End is an owner's last word about its run.
type End struct {
	// Outcome is what became of the run.
	Outcome Outcome
	// Result is kept with Completed, unless Oversized is set.
	Result []byte
	// Oversized says that the result is not in Result, as it is too large.
	Oversized bool
}

// Store keeps records. Every method is atomic; any of them may be sent twice, or
// arrive late, without harm: a record that its owner has ended is not changed by
// that owner again.
//
// An error other than a *fault.Error leaves open whether the write happened.
type Store interface {
	// Claim takes the record if it is free, and else says how things stand. It
	// turns a pending record whose lease ran out into a lost one, for Retention.
	Claim(ctx context.Context, r Record) (Claim, error)
	// Renew begins the owner's lease anew, also where it ran out or where the store
	// lost the record. It is false where the record is not the owner's any more.
	Renew(ctx context.Context, r Record) (bool, error)
	// Finish writes how the owner's run ended, also over a lease that ran out. It
	// is false where the record is not the owner's any more.
	Finish(ctx context.Context, r Record, end End) (bool, error)
}
