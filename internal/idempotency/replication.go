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
	// ackWait is how long a replica may take to acknowledge a claim.
	ackWait = 500 * time.Millisecond
	// failoverGrace is how long a master that has lost its replicas is not trusted. There may
	// be a new master, of which clients hear within seconds.
	failoverGrace = 10 * time.Second
	// reload is how long a client takes to learn where a slot is now.
	reload = 100 * time.Millisecond
	// serverTTL is when a server that is not used any more is forgotten.
	serverTTL = time.Hour
)

// errUnreplicated says that a claim is only on a master that may have been replaced. A master
// that hung or was cut off answers clients that do not know the new one. A retry is
// answered by the new master, or by this one a while later.
var errUnreplicated = errors.New("no replica has the claim")

// replicationTracker remembers which servers had replicas, and when.
type replicationTracker struct {
	mu   sync.Mutex
	seen map[string]time.Time // by run id
}

// replicated reports whether a replica must acknowledge a server's claims. It is an error if
// no replica can.
func (t *replicationTracker) replicated(server string, replicas int, now time.Time) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, last := range t.seen {
		if now.Sub(last) > serverTTL {
			delete(t.seen, id)
		}
	}
	if replicas > 0 {
		if t.seen == nil {
			t.seen = make(map[string]time.Time)
		}
		t.seen[server] = now
		return true, nil
	}
	if last, ever := t.seen[server]; ever && now.Sub(last) < failoverGrace {
		return false, errUnreplicated
	}
	return false, nil
}

// confirm repeats a claim on a connection to one server, and waits until a replica has it, if
// there is one. The argument claimed is the answer to the first claim.
func (rs *Redis) confirm(ctx context.Context, r Record, claimed []string) ([]string, error) {
	replicas, err := strconv.Atoi(claimed[1])
	if err != nil {
		return claimed, nil //nolint:nilerr // a server that may not be asked is taken for one without replicas
	}
	wait, err := rs.replication.replicated(claimed[2], replicas, time.Now())
	if err != nil || !wait {
		return claimed, err
	}
	got, err := rs.claimReplicated(ctx, r)
	if cluster, ok := rs.client.(*redis.ClusterClient); ok && redis.HasErrorPrefix(err, "MOVED") {
		cluster.ReloadState(ctx) // it goes on in the background
		select {
		case <-time.After(reload):
			return rs.claimReplicated(ctx, r)
		case <-ctx.Done():
		}
	}
	return got, err
}

// claimReplicated repeats the claimant's own claim, and waits for a replica.
func (rs *Redis) claimReplicated(ctx context.Context, r Record) (got []string, err error) {
	var server redis.Cmdable = rs.client
	if cluster, ok := rs.client.(*redis.ClusterClient); ok {
		if server, err = cluster.MasterForKey(ctx, rs.keys(r)[0]); err != nil {
			return nil, fmt.Errorf("find the master: %w", err)
		}
	}
	pipe := server.Pipeline() // WAIT concerns the writes of its own connection
	again := pipe.Eval(ctx, scriptHead+scriptClaim, rs.keys(r), arguments(r)...)
	acknowledged := pipe.Do(ctx, "WAIT", 1, ackWait.Milliseconds())
	_, _ = pipe.Exec(ctx) // each command has its own error
	got, err = again.StringSlice()
	if err != nil || len(got) == 0 || got[0] != "claimed" {
		return got, err
	}
	n, err := acknowledged.Int()
	var refused redis.Error
	switch {
	case errors.As(err, &refused): // the server does not know WAIT
		return got, nil
	case err != nil:
		return nil, err
	case n < 1:
		return nil, errUnreplicated
	default:
		return got, nil
	}
}
