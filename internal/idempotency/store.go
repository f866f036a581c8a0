package idempotency

import (
	"context"
	"time"
)

// Record is a claimant's record.
type Record struct {
	// ID is the record's name, and Input the digest of the call's input. Both are hashes.
	ID, Input string
	// Owner is the claimant's fencing token, which no other claimant uses.
	Owner string
	// Lease is how long a renewal lasts. Retention is how long the record is kept after its
	// last write. Both run on the store's clock.
	Lease, Retention time.Duration
}

// ClaimStatus is the result of a claim.
type ClaimStatus int

// The values of ClaimStatus.
const (
	// Claimed: the claimant owns the record, and may run.
	Claimed ClaimStatus = iota + 1
	// Pending: another owner runs.
	Pending
	// Done: the record has the result.
	Done
	// Oversized: done, with a result that was too large to keep.
	Oversized
	// Lost: the outcome is unknown.
	Lost
	// InputMismatch: the record belongs to another input.
	InputMismatch
	// Released: the claimant itself gave the record up before (its claim was delayed). It may
	// not run.
	Released
)

// Claim is the answer to a claim.
type Claim struct {
	Status ClaimStatus
	// Result is the result with Done.
	Result []byte
}

// End is how an owner's run ended.
type End struct {
	// Outcome is the outcome of the run.
	Outcome Outcome
	// Result is kept with Completed, unless Oversized is set.
	Result []byte
	// Oversized says that the result is too large, and not in Result.
	Oversized bool
}

// Store keeps records. Every method is atomic. A message may be sent twice, or arrive late,
// without harm: an owner cannot change a record that it has finished.
//
// An error other than a *fault.Error leaves open whether the write took effect.
type Store interface {
	// Claim takes the record if it is free, and otherwise returns its status. It turns a
	// pending record whose lease ran out into a lost one, for Retention.
	Claim(ctx context.Context, r Record) (Claim, error)
	// Renew renews the owner's lease, also after it ran out, or after the store lost the
	// record. It returns false if the record is not the owner's any more.
	Renew(ctx context.Context, r Record) (bool, error)
	// Finish records how the owner's run ended, also after its lease ran out. It returns false
	// if the record is not the owner's any more.
	Finish(ctx context.Context, r Record, end End) (bool, error)
}
