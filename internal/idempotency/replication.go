package idempotency

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// ackWait is how long a replica may take to have a claim.
	ackWait = 500 * time.Millisecond
	// failoverGrace is how long a master is not believed after it has lost its replicas: they may
	// have another one, of which clients hear within seconds.
	failoverGrace = 10 * time.Second
	// reload is how long a client takes to hear where a slot is now.
	reload = 100 * time.Millisecond
	// forget is when a server that is asked no more is forgotten.
	forget = time.Hour
)

// ErrUnreplicated says that a claim is nowhere but on a master that may not be the master any
// more: one that hung or was cut off, and is back, answers those who have not heard of the
// new one. Who asks again is answered by the new one, or a while later.
var ErrUnreplicated = errors.New("no replica has the claim")

// replicationTracker remembers which servers had replicas, and when they had them last.
type replicationTracker struct {
	mu   sync.Mutex
	seen map[string]time.Time // by run id
}

// replicated says whether a server's claims are to be confirmed by a replica. It is an error
// if they cannot be.
func (m *replicationTracker) replicated(server string, replicas int, now time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, last := range m.seen {
		if now.Sub(last) > forget {
			delete(m.seen, id)
		}
	}
	if replicas > 0 {
		if m.seen == nil {
			m.seen = make(map[string]time.Time)
		}
		m.seen[server] = now
		return true, nil
	}
	if last, ever := m.seen[server]; ever && now.Sub(last) < failoverGrace {
		return false, ErrUnreplicated
	}
	return false, nil
}

// confirm claims once more on the connection to one server, and waits until a replica has it,
// where there is one. claimed is what the first claim was answered with.
func (s *Redis) confirm(ctx context.Context, r Record, claimed []string) ([]string, error) {
	replicas, err := strconv.Atoi(claimed[1])
	if err != nil {
		return claimed, nil //nolint:nilerr // a server that may not be asked is taken for one without replicas
	}
	wait, err := s.replication.replicated(claimed[2], replicas, time.Now())
	if err != nil || !wait {
		return claimed, err
	}
	got, err := s.claimReplicated(ctx, r)
	if cluster, ok := s.client.(*redis.ClusterClient); ok && redis.HasErrorPrefix(err, "MOVED") {
		cluster.ReloadState(ctx) // which goes on beside
		select {
		case <-time.After(reload):
			return s.claimReplicated(ctx, r)
		case <-ctx.Done():
		}
	}
	return got, err
}

// claimReplicated claims a record that is the claimant's already, and waits for a replica.
func (s *Redis) claimReplicated(ctx context.Context, r Record) (got []string, err error) {
	var server redis.Cmdable = s.client
	if cluster, ok := s.client.(*redis.ClusterClient); ok {
		if server, err = cluster.MasterForKey(ctx, s.keys(r)[0]); err != nil {
			return nil, fmt.Errorf("find the master: %w", err)
		}
	}
	pipe := server.Pipeline() // WAIT is about what its own connection has written
	again := pipe.Eval(ctx, scriptHead+scriptClaim, s.keys(r), arguments(r)...)
	acknowledged := pipe.Do(ctx, "WAIT", 1, ackWait.Milliseconds())
	_, _ = pipe.Exec(ctx) // each command has its own error
	got, err = again.StringSlice()
	if err != nil || len(got) == 0 || got[0] != "claimed" {
		return got, err
	}
	n, err := acknowledged.Int()
	var refused redis.Error
	switch {
	case errors.As(err, &refused): // a server that knows no WAIT
		return got, nil
	case err != nil:
		return nil, err
	case n < 1:
		return nil, ErrUnreplicated
	default:
		return got, nil
	}
}
