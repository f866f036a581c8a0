package idempotency_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/idempotency"
	"github.com/consoleql/consoleql/internal/redistest"
)

// childKey is the key of the call in the child process.
var childKey = idempotency.Key{Principal: "p", Operation: "executeWorkflow", Key: "the child's"}

// childOptions are the options of the child and of the replicas that wait for it.
var childOptions = idempotency.Options{Lease: 1500 * time.Millisecond}

// child runs the call in its own process, reports that, and never ends.
func child(url string) error {
	o, err := redis.ParseURL(url)
	if err != nil {
		return err
	}
	client := redis.NewClient(o)
	executor := idempotency.New(idempotency.NewRedis(idempotency.RedisOptions{Client: client}), childOptions)
	_, err = executor.Do(context.Background(), childKey, input, func(ctx context.Context) ([]byte, idempotency.Outcome, error) {
		if err := client.Incr(ctx, "runs").Err(); err != nil {
			return nil, idempotency.NotStarted, err
		}
		if _, err := os.Stdout.WriteString("running\n"); err != nil {
			return nil, idempotency.Unknown, err
		}
		select {}
	})
	return err
}

func TestReplicaDiesDuringRun(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := redisClient(t, server)
	replica := exec.Command(os.Args[0])
	replica.Env = append(os.Environ(), childEnv+"="+server.URL())
	replica.Stderr = os.Stderr
	out, err := replica.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := replica.Start(); err != nil {
		t.Fatal(err)
	}
	kill := sync.OnceFunc(func() {
		_ = replica.Process.Kill() // SIGKILL
		_ = replica.Wait()
	})
	defer kill()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "running\n" || err != nil {
		t.Fatalf("the child said %q, %v", line, err)
	}

	keepers := []*idempotency.Executor{newRedisExecutor(t, server, childOptions), newRedisExecutor(t, server, childOptions)}
	run := func(ctx context.Context) ([]byte, idempotency.Outcome, error) {
		return nil, idempotency.Completed, client.Incr(ctx, "runs").Err()
	}
	var waiters []<-chan reply
	for i := range 100 {
		waiters = append(waiters, begin(t.Context(), keepers[i%2], childKey, input, run))
	}
	time.Sleep(childOptions.Lease + childOptions.Lease/2) // the living child renews
	select {
	case r := <-waiters[0]:
		t.Errorf("the waiter got %q, %v while the child lived", r.result, r.err)
	default:
	}
	kill()
	for _, w := range waiters {
		r := receive(t, w, "a waiter's answer")
		wantUnknown(t, r.result, r.err)
	}
	result, err := keepers[0].Do(t.Context(), childKey, input, run)
	wantUnknown(t, result, err)
	_, err = keepers[0].Do(t.Context(), childKey, other, run)
	wantFault(t, nil, err, fault.Conflict, idempotency.ErrOtherInput)
	if runs, err := client.Get(t.Context(), "runs").Int(); runs != 1 || err != nil {
		t.Errorf("%d runs, %v", runs, err)
	}
	if ttl, err := client.TTL(t.Context(), onlyKey(t, client)).Result(); ttl < 23*time.Hour || err != nil {
		t.Errorf("the unknown outcome is kept for %v, %v", ttl, err)
	}
}

// onlyKey returns the name of the only record.
func onlyKey(t *testing.T, client *redis.Client) string {
	t.Helper()
	keys, err := client.Keys(t.Context(), idempotency.DefaultPrefix+"*").Result()
	if err != nil || len(keys) != 1 {
		t.Fatalf("keys %q, %v", keys, err)
	}
	return keys[0]
}

func TestRedisContainsNoPlaintext(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := redisClient(t, server)
	var log bytes.Buffer
	k := newRedisExecutor(t, server, idempotency.Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	var c counter
	named := func(name string) idempotency.Key {
		return idempotency.Key{Principal: "alice@example", Operation: "executeWorkflow", Key: "readable-" + name}
	}
	run, started, release := c.blocking()
	pending := begin(t.Context(), k, named("pending"), input, run)
	receive(t, started, "the run")
	for name, outcome := range map[string]idempotency.Outcome{"done": idempotency.Completed, "lost": idempotency.Unknown, "free": idempotency.NotStarted} {
		_, _ = k.Do(t.Context(), named(name), input, c.returning(truth, outcome, nil))
	}
	_, _ = k.Do(t.Context(), named("large"), input, c.returning(bytes.Repeat([]byte("large"), idempotency.MaxResult), idempotency.Completed, nil))

	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) != 5 {
		t.Fatalf("%d keys, want 5: %q, %v", len(keys), keys, err)
	}
	states := map[string]bool{}
	for _, key := range keys {
		fields, err := client.HGetAll(t.Context(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		states[fields["state"]] = true
		text := fmt.Sprint(key, fields)
		for _, secret := range []string{"secret-input", "alice", "executeWorkflow", "readable", "large"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q is readable in %.200s", secret, text)
			}
		}
		if size := len(text); size > 1000 {
			t.Errorf("a record of %d bytes", size)
		}
		if !strings.HasPrefix(key, "consoleql:idem:{") || !strings.HasSuffix(key, "}") {
			t.Errorf("%q has not the prefix and a hash tag", key)
		}
		if ttl, err := client.PTTL(t.Context(), key).Result(); ttl <= 0 || ttl > 24*time.Hour || err != nil {
			t.Errorf("%s lives for %v, %v", key, ttl, err)
		}
	}
	for _, want := range []string{"pending", "done", "lost", "free", "oversized"} {
		if !states[want] {
			t.Errorf("no record is %s: %v", want, states)
		}
	}
	release()
	receive(t, pending, "the answer")
	if log.Len() != 0 {
		t.Errorf("with nothing wrong, the log says %s", log.String())
	}
}

func TestRedisDownBeforeRun(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	k := newRedisExecutor(t, server, idempotency.Options{Lease: 500 * time.Millisecond})
	var c counter
	server.Stop()
	for range 3 {
		result, err := k.Do(t.Context(), key(t), input, c.completing())
		wantFault(t, result, err, fault.UpstreamUnavailable, nil)
		if err != nil && strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("the error tells an address: %v", err)
		}
	}
	c.want(t, 0)
	server.Restart()
	other := newRedisExecutor(t, server, idempotency.Options{})
	result, err := other.Do(t.Context(), key(t), input, c.completing())
	wantResult(t, result, err, truth)
	c.want(t, 1)
	// Redis is down again: nothing runs without a claim.
	server.Stop()
	result, err = k.Do(t.Context(), key(t), input, c.completing())
	wantFault(t, result, err, fault.UpstreamUnavailable, nil)
	c.want(t, 1)
}

// TestRedisHangsBeforeRun verifies that a claim without an answer, which may have been written,
// is removed, even if Redis hangs for longer than a lease. The key does not stay unknown or blocked.
func TestRedisHangsBeforeRun(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := idempotency.Options{Lease: 500 * time.Millisecond}
	a, b := newRedisExecutor(t, server, o), newRedisExecutor(t, server, o)
	var c counter
	_, err := a.Do(t.Context(), idempotency.Key{Principal: "p", Operation: "o", Key: "warm"}, input, c.returning(nil, idempotency.NotStarted, nil))
	if err != nil {
		t.Fatal(err)
	}
	server.Pause()
	result, err := a.Do(t.Context(), key(t), input, c.completing())
	wantFault(t, result, err, fault.UpstreamUnavailable, nil)
	c.want(t, 1)
	time.Sleep(3 * o.Lease)
	server.Resume()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		result, err = b.Do(t.Context(), key(t), input, c.completing())
		if err == nil || time.Now().After(deadline) {
			break
		}
	}
	wantResult(t, result, err, truth)
	c.want(t, 2)
}

// TestRedisDownDuringRun verifies that an outage within the lease does not affect the run. A
// waiter that calls in that time is refused.
func TestRedisDownDuringRun(t *testing.T) {
	for name, outage := range map[string]time.Duration{"shorter than the lease": 200 * time.Millisecond, "longer than the lease": 1500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			o := idempotency.Options{Lease: time.Second}
			a, b := newRedisExecutor(t, server, o), newRedisExecutor(t, server, o)
			var c counter
			run, started, release := c.blocking()
			first := begin(t.Context(), a, key(t), input, run)
			receive(t, started, "the run")
			server.Stop()
			result, err := b.Do(t.Context(), key(t), input, c.completing())
			wantFault(t, result, err, fault.UpstreamUnavailable, nil)
			time.Sleep(outage)
			server.Restart()
			release()
			r := receive(t, first, "the first answer")
			wantResult(t, r.result, r.err, truth)
			result, err = b.Do(t.Context(), key(t), input, c.completing())
			wantResult(t, result, err, truth)
			c.want(t, 1)
		})
	}
}

func TestRedisEmptiedDuringRun(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := redisClient(t, server)
	o := idempotency.Options{Lease: time.Second}
	a, b := newRedisExecutor(t, server, o), newRedisExecutor(t, server, o)
	var c counter
	run, started, release := c.blocking()
	first := begin(t.Context(), a, key(t), input, run)
	receive(t, started, "the run")
	server.RestartEmpty()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if n, err := client.DBSize(t.Context()).Result(); n == 1 && err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the owner does not restore its record: %d, %v", n, err)
		}
	}
	waiter := begin(t.Context(), b, key(t), input, c.completing())
	time.Sleep(50 * time.Millisecond)
	release()
	for _, w := range []<-chan reply{first, waiter} {
		r := receive(t, w, "an answer")
		wantResult(t, r.result, r.err, truth)
	}
	c.want(t, 1)
}

// TestRedisDownAfterRun verifies that the first caller gets the result although it cannot be
// recorded at first, and that others get it later.
func TestRedisDownAfterRun(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := idempotency.Options{Lease: time.Minute}
	a, b := newRedisExecutor(t, server, o), newRedisExecutor(t, server, o)
	var c counter
	run, started, release := c.blocking()
	first := begin(t.Context(), a, key(t), input, run)
	receive(t, started, "the run")
	server.Stop()
	release()
	r := receive(t, first, "the first answer") // long before the lease ends
	wantResult(t, r.result, r.err, truth)
	// The same process still knows the result without Redis.
	result, err := a.Do(t.Context(), key(t), input, c.completing())
	wantResult(t, result, err, truth)
	server.RestartEmpty()
	result, err = a.Do(t.Context(), key(t), input, c.completing())
	wantResult(t, result, err, truth)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := a.Close(ctx); err != nil { // waits until it is recorded
		t.Fatal(err)
	}
	result, err = b.Do(t.Context(), key(t), input, c.completing())
	wantResult(t, result, err, truth)
	c.want(t, 1)
}

func TestRedisDownTooLongAfterRun(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var log bytes.Buffer
	o := idempotency.Options{Lease: 500 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	a := newRedisExecutor(t, server, o)
	b := newRedisExecutor(t, server, idempotency.Options{Lease: o.Lease})
	var c counter
	run, started, release := c.blocking()
	first := begin(t.Context(), a, key(t), input, run)
	receive(t, started, "the run")
	server.Stop()
	release()
	r := receive(t, first, "the first answer")
	wantResult(t, r.result, r.err, truth)
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text := log.String(); !strings.Contains(text, "was not recorded") || strings.Contains(text, "secret-input") || strings.Contains(text, t.Name()) {
		t.Errorf("the log says %s", text)
	}
	server.Restart()
	result, err := b.Do(t.Context(), key(t), input, c.completing())
	wantUnknown(t, result, err)
	c.want(t, 1)
}

// TestRedisRefuses verifies that a foreign value under the key prevents a claim.
func TestRedisRefuses(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := redisClient(t, server)
	store := idempotency.NewRedis(idempotency.RedisOptions{Client: client, Prefix: "other:"})
	r := idempotency.Record{ID: "id", Input: "i", Owner: "a", Lease: time.Second, Retention: time.Second}
	if err := client.Set(t.Context(), "other:{id}", "text", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	if c, err := store.Claim(t.Context(), r); err == nil {
		t.Errorf("claim: got %+v", c)
	}
	if held, err := store.Renew(t.Context(), r); held || err == nil {
		t.Errorf("renew: got %t", held)
	}
	if held, err := store.Finish(t.Context(), r, idempotency.End{}); held || err == nil {
		t.Errorf("finish: got %t", held)
	}
	if err := client.Del(t.Context(), "other:{id}").Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.HSet(t.Context(), "other:{id}", "state", "odd", "owner", "b", "input", "i").Err(); err != nil {
		t.Fatal(err)
	}
	if c, err := store.Claim(t.Context(), r); err == nil || errors.Is(err, redis.Nil) {
		t.Errorf("claim of a record in an odd state: got %+v, %v", c, err)
	}
}

// TestRedisIsFull verifies that a full Redis accepts no claim, but the outcome of a running
// call.
func TestRedisIsFull(t *testing.T) {
	t.Parallel()
	client := redisClient(t, redistest.Start(t))
	store := idempotency.NewRedis(idempotency.RedisOptions{Client: client})
	begun := idempotency.Record{ID: "begun", Input: "i", Owner: "a", Lease: time.Minute, Retention: time.Minute}
	late := begun
	late.ID = "late"
	if c, err := store.Claim(t.Context(), begun); err != nil || c.Status != idempotency.Claimed {
		t.Fatalf("claim: got %+v, %v", c, err)
	}
	if err := client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if c, err := store.Claim(t.Context(), late); err == nil {
		t.Errorf("claim: got %+v of a full Redis", c)
	}
	if held, err := store.Renew(t.Context(), begun); !held || err != nil {
		t.Errorf("renew: got %t, %v", held, err)
	}
	if held, err := store.Finish(t.Context(), begun, idempotency.End{Outcome: idempotency.Completed, Result: []byte("r")}); !held || err != nil {
		t.Errorf("finish: got %t, %v", held, err)
	}
	if c, err := store.Claim(t.Context(), begun); err != nil || c.Status != idempotency.Done || string(c.Result) != "r" {
		t.Errorf("claim of what was done: got %+v, %v", c, err)
	}
}
