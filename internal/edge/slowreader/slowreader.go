// Package slowreader bounds the bytes of answers that wait for clients to read them.
package slowreader

import (
	"context"
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
	// minReadRate is the lowest rate, in bytes per second, at which a client may read after WriteGrace.
	minReadRate = 4 << 10
	// WriteGrace is the time that each write has.
	WriteGrace = 30 * time.Second
	// minStall is how long an answer may wait without progress, unless twice the bound is waiting.
	minStall = time.Second
)

// WriteTime returns the time that the write of that many bytes may take.
func WriteTime(size int) time.Duration {
	return WriteGrace + time.Duration(size)*time.Second/minReadRate
}

// Limiter counts the bytes of answers while they are written. Where more than its bound wait, it ends the slowest: those
// without progress for the longest time. Answers that share their memory, such as one of a cache, count once. The zero Limiter
// has the default bound. It is safe for concurrent use.
type Limiter struct {
	// Bytes is the bound; 0: defaultBytes.
	Bytes int64

	mu      sync.Mutex
	held    int64
	waiting map[*byte]*body // by the last byte: a writer may have sent the beginning
}

// Reader is a client that reads answers one after the other: its progress is that of all that wait for it. The zero Reader is
// ready for use.
type Reader struct {
	// Guarded by the limiter's lock:
	progress time.Time
	answers  int
}

type readerKey struct{}

// WithReader returns ctx with the client of a connection.
func WithReader(ctx context.Context, r *Reader) context.Context {
	return context.WithValue(ctx, readerKey{}, r)
}

// ReaderOf returns the client of the connection in ctx, or a new one.
func ReaderOf(ctx context.Context) *Reader {
	if r, ok := ctx.Value(readerKey{}).(*Reader); ok {
		return r
	}
	return &Reader{}
}

// body is the memory that answers share.
type body struct {
	bytes int64
	first *Answer // of those that wait
}

// progress returns when the fastest client of the body has read something.
func (b *body) progress() time.Time {
	latest := b.first.reader.progress
	for a := b.first.next; a != nil; a = a.next {
		if a.reader.progress.After(latest) {
			latest = a.reader.progress
		}
	}
	return latest
}

// Answer is an answer that is being written. A nil Answer is one that does not count.
type Answer struct {
	limiter *Limiter
	key     *byte
	reader  *Reader
	cancel  func()

	// Guarded by the limiter's lock:
	own        body // of the first answer with this memory
	of         *body
	next, prev *Answer // that wait with the same memory
	ended      bool
}

// Begin counts the answer to a client until its End. A nil Limiter counts nothing. cancel must end the write at once, and may be
// called from another goroutine.
func (l *Limiter) Begin(answer []byte, to *Reader, cancel func()) *Answer {
	if l == nil || len(answer) <= minPending {
		return nil
	}
	now := time.Now()
	a := &Answer{limiter: l, key: &answer[len(answer)-1], reader: to, cancel: cancel}
	l.mu.Lock()
	l.add(a, int64(len(answer)), now)
	ended := l.endSlowest(now, a.of)
	l.mu.Unlock()
	for _, slow := range ended {
		slow.cancel()
	}
	return a
}

// add begins the count of an answer. The caller holds the lock.
func (l *Limiter) add(a *Answer, bytes int64, now time.Time) {
	if l.waiting == nil {
		l.waiting = make(map[*byte]*body)
	}
	if a.of = l.waiting[a.key]; a.of == nil {
		a.of = &a.own
		l.waiting[a.key] = a.of
	}
	if more := bytes - a.of.bytes; more > 0 {
		a.of.bytes += more
		l.held += more
	}
	if a.next = a.of.first; a.next != nil {
		a.next.prev = a
	}
	a.of.first = a
	if a.reader.answers++; a.reader.answers == 1 {
		a.reader.progress = now
	}
}

// endSlowest removes the slowest answers that do not share the memory of keep, until the rest is within the bound, and returns
// them. The caller holds the lock.
func (l *Limiter) endSlowest(now time.Time, keep *body) []*Answer {
	limit := l.Bytes
	if limit <= 0 {
		limit = defaultBytes
	}
	var ended []*Answer
	for l.held > limit {
		var slowest *body
		var since time.Time
		for _, other := range l.waiting {
			if other == keep {
				continue
			}
			if progress := other.progress(); slowest == nil || progress.Before(since) {
				slowest, since = other, progress
			}
		}
		if slowest == nil || l.held <= 2*limit && now.Sub(since) < minStall {
			break
		}
		for a := slowest.first; a != nil; a = slowest.first {
			l.remove(a)
			ended = append(ended, a)
		}
	}
	return ended
}

// remove ends the count of an answer. The caller holds the lock.
func (l *Limiter) remove(a *Answer) {
	if a.ended {
		return
	}
	a.ended = true
	a.reader.answers--
	if a.next != nil {
		a.next.prev = a.prev
	}
	if a.prev != nil {
		a.prev.next = a.next
	} else {
		a.of.first = a.next
	}
	a.next, a.prev = nil, nil
	if a.of.first == nil {
		delete(l.waiting, a.key)
		l.held -= a.of.bytes
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
	a.reader.progress = time.Now()
}

// End ends the count, and notes that the client has read the answer. Calls after the first do nothing.
func (a *Answer) End() {
	if a == nil {
		return
	}
	a.limiter.mu.Lock()
	defer a.limiter.mu.Unlock()
	if !a.ended {
		a.reader.progress = time.Now()
		a.limiter.remove(a)
	}
}
