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
	// MaxWriteBytes bounds one write, in bytes. A kernel wakes a writer only when a good part of the buffer is free, so
	// that a slow client needs small pieces.
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

// Begin counts an answer until its End. A nil Limiter counts nothing. cut must end the write at once, and may be called
// from another goroutine.
func (l *Limiter) Begin(bytes int, cut func()) *Answer {
	if l == nil || bytes <= minPending {
		return nil
	}
	now := time.Now()
	a := &Answer{limiter: l, bytes: int64(bytes), progress: now, cancel: cut}
	l.mu.Lock()
	if l.waiting == nil {
		l.waiting = make(map[*Answer]struct{})
	}
	l.waiting[a] = struct{}{}
	l.held += a.bytes
	ended := l.endSlowest(now, a)
	l.mu.Unlock()
	for _, slow := range ended {
		slow.cancel()
	}
	return a
}

// endSlowest removes the slowest answers other than keep until the rest is within the bound, and returns them. The caller
// holds the lock.
func (l *Limiter) endSlowest(now time.Time, keep *Answer) []*Answer {
	limit := l.Bytes
	if limit <= 0 {
		limit = defaultBytes
	}
	var ended []*Answer
	for l.held > limit {
		var slowest *Answer
		for a := range l.waiting {
			if a != keep && (slowest == nil || a.progress.Before(slowest.progress)) {
				slowest = a
			}
		}
		if slowest == nil || l.held <= 2*limit && now.Sub(slowest.progress) < minStall {
			break
		}
		l.remove(slowest)
		ended = append(ended, slowest)
	}
	return ended
}

// remove ends the count of an answer. The caller holds the lock.
func (l *Limiter) remove(a *Answer) {
	if _, counted := l.waiting[a]; counted {
		delete(l.waiting, a)
		l.held -= a.bytes
	}
}

// Held returns the bytes of the answers that are being written.
func (l *Limiter) Held() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
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
