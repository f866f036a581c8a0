// Package slowreader bounds the bytes of answers that wait for clients to read them.
package slowreader

import (
	"sync"
	"time"
)

const (
	// defaultBytes is the default bound.
	defaultBytes = 64 << 20
	// minPending is the size above which an answer counts. The buffers of a connection are as large.
	minPending = 4 << 10
	// MaxWriteBytes bounds one write, in bytes. A kernel wakes a writer only when a good part of the buffer is free, so that a
	// slow client needs small pieces.
	MaxWriteBytes = 1 << 20
	// slowest is the lowest rate, in bytes per second, at which a client may read after SlowStart.
	slowest = 4 << 10
	// SlowStart is the time that each write has.
	SlowStart = 30 * time.Second
	// minStall is how long an answer may wait without progress, unless twice the bound is waiting.
	minStall = time.Second
)

// WriteTime returns the time that the write of that many bytes may take.
func WriteTime(size int) time.Duration {
	return SlowStart + time.Duration(size)*time.Second/slowest
}

// Limiter counts the bytes of answers while they are written. Where more than its bound wait, it ends the slowest: those
// without progress for the longest time. The zero Limiter has the default bound. It is safe for concurrent use.
//
// An answer that a cache holds counts for each client, though the clients share its memory.
type Limiter struct {
	// Bytes is the bound; 0: defaultBytes.
	Bytes int64

	mu      sync.Mutex
	held    int64
	waiting map[*Answer]struct{}
}

// Answer is an answer that is being written. A nil Answer is one that does not count.
type Answer struct {
	limiter  *Limiter
	bytes    int64
	progress time.Time
	cancel   func()
}

// Begin counts an answer until its End. A nil Limiter counts nothing. cut must end the write at once, and may be called from another goroutine.
func (b *Limiter) Begin(bytes int, cut func()) *Answer {
	if b == nil || bytes <= minPending {
		return nil
	}
	now := time.Now()
	a := &Answer{limiter: b, bytes: int64(bytes), progress: now, cancel: cut}
	b.mu.Lock()
	if b.waiting == nil {
		b.waiting = make(map[*Answer]struct{})
	}
	b.waiting[a] = struct{}{}
	b.held += a.bytes
	ended := b.endSlowest(now, a)
	b.mu.Unlock()
	for _, slow := range ended {
		slow.cancel()
	}
	return a
}

// endSlowest removes the slowest answers other than keep until the rest is within the bound, and returns them. The caller
// holds the lock.
func (b *Limiter) endSlowest(now time.Time, keep *Answer) []*Answer {
	limit := b.Bytes
	if limit <= 0 {
		limit = defaultBytes
	}
	var ended []*Answer
	for b.held > limit {
		var slowest *Answer
		for a := range b.waiting {
			if a != keep && (slowest == nil || a.progress.Before(slowest.progress)) {
				slowest = a
			}
		}
		if slowest == nil || b.held <= 2*limit && now.Sub(slowest.progress) < minStall {
			break
		}
		b.remove(slowest)
		ended = append(ended, slowest)
	}
	return ended
}

// remove ends the count of an answer. The caller holds the lock.
func (b *Limiter) remove(a *Answer) {
	if _, counted := b.waiting[a]; counted {
		delete(b.waiting, a)
		b.held -= a.bytes
	}
}

// Held returns the bytes of the answers that are being written.
func (b *Limiter) Held() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held
}

// Progress notes that the client has read a part of the answer.
func (a *Answer) Progress() {
	if a == nil {
		return
	}
	a.limiter.mu.Lock()
	defer a.limiter.mu.Unlock()
	a.progress = time.Now()
}

// End ends the count. Calls after the first do nothing.
func (a *Answer) End() {
	if a == nil {
		return
	}
	a.limiter.mu.Lock()
	defer a.limiter.mu.Unlock()
	a.limiter.remove(a)
}
