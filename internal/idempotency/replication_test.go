package idempotency_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/idempotency"
	"github.com/consoleql/consoleql/internal/redistest"
)

// clusterOf returns a client that does not refresh its list of masters, like one that has not
// noticed a failover.
func clusterOf(t *testing.T, url string) *redis.ClusterClient {
	t.Helper()
	o, err := redis.ParseClusterURL(url)
	if err != nil {
		t.Fatal(err)
	}
	o.ContextTimeoutEnabled = true
	client := redis.NewClusterClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// TestDemotedPrimariesAreRejected verifies that a former master that returns after a failover
// accepts no claim.
func TestDemotedPrimariesAreRejected(t *testing.T) {
	t.Parallel()
	servers := redistest.StartCluster(t)
	late := idempotency.NewRedis(idempotency.RedisOptions{Client: clusterOf(t, servers.URL)})
	record := func(n int, owner string) idempotency.Record {
		return idempotency.Record{ID: fmt.Sprint("r", n), Input: "i", Owner: owner, Lease: time.Hour, Retention: time.Hour}
	}
	const records = 30 // of all masters
	for n := range records {
		if got, err := late.Claim(t.Context(), record(-1-n, "late")); err != nil || got.Status != idempotency.Claimed {
			t.Fatalf("all is well: %v, %v", got, err)
		}
	}
	hung := servers.Masters[1]
	hung.Pause()
	servers.AwaitPromotion(1)
	early := idempotency.NewRedis(idempotency.RedisOptions{Client: clusterOf(t, servers.URL)})
	for n := range records {
		if got, err := early.Claim(t.Context(), record(n, "early")); err != nil || got.Status != idempotency.Claimed {
			t.Fatalf("by the new master: %v, %v", got, err)
		}
	}
	answers := make(chan bool, records)
	for n := range records {
		go func() { // on their way to the master that hangs, or answered by others
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			got, err := late.Claim(ctx, record(n, "late"))
			answers <- err == nil && got.Status == idempotency.Claimed
		}()
	}
	time.Sleep(200 * time.Millisecond)
	hung.Resume()
	for range records {
		if twice := <-answers; twice {
			t.Error("claimed twice")
		}
	}
}
