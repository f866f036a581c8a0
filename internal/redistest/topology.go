package redistest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// formationTimeout bounds the time for servers to find each other.
	formationTimeout = 30 * time.Second
	// downAfterMillis is the silence in milliseconds after which a server counts as dead.
	downAfterMillis = "1000"
	// slots is the number of hash slots of a Cluster.
	slots = 16384
)

// Topology is a group of masters, each with a replica that replaces it on failure.
type Topology struct {
	t testing.TB
	// URL is the group's URL for go-redis.
	URL string
	// Masters are the initial masters, and Replicas are their replicas.
	Masters, Replicas []*Server
	// promoted reports whether every server except the old master names the new one.
	promoted func(ctx context.Context, old, now *Server) bool
}

// AwaitReplicas waits until the replicas hold the present data of their masters.
func (tp *Topology) AwaitReplicas() {
	tp.t.Helper()
	for i, master := range tp.Masters {
		await(tp.t, "what the replica lacks", func(ctx context.Context) bool {
			written, err := strconv.ParseInt(master.info(ctx, "master_repl_offset"), 10, 64)
			if err != nil {
				return false
			}
			held, err := strconv.ParseInt(tp.Replicas[i].info(ctx, "slave_repl_offset"), 10, 64)
			return err == nil && held >= written
		})
	}
}

// FailOver stops a master and waits until every other server names its replica as master. It fails the test if that
// never happens.
func (tp *Topology) FailOver(n int) {
	tp.t.Helper()
	tp.Masters[n].Stop()
	tp.AwaitPromotion(n)
}

// AwaitPromotion waits until the replica of a stopped or hanging master has replaced it.
func (tp *Topology) AwaitPromotion(n int) {
	tp.t.Helper()
	await(tp.t, "a new master", func(ctx context.Context) bool {
		return tp.Replicas[n].info(ctx, "role") == "master" && tp.promoted(ctx, tp.Masters[n], tp.Replicas[n])
	})
}

// StartSentinel starts a master, a replica and a Sentinel that monitors them.
func StartSentinel(t testing.TB) *Topology {
	t.Helper()
	const name = "main"
	master := Start(t)
	replica := start(t, replicaOf(master))
	sentinel := start(t, role{arguments: func(s *Server) []string {
		file := filepath.Join(s.dir, "sentinel.conf")
		text := fmt.Sprintf("sentinel monitor %[1]s 127.0.0.1 %[2]d 1\nsentinel down-after-milliseconds %[1]s %[3]s\nsentinel failover-timeout %[1]s 5000\n", name, master.port, downAfterMillis)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{file, "--sentinel"}
	}})
	await(t, "the replica", func(ctx context.Context) bool {
		return sentinel.namedValue(ctx, "num-slaves", "sentinel", "master", name) == "1" && replica.info(ctx, "master_link_status") == "up"
	})
	return &Topology{
		t: t, URL: "redis://" + sentinel.Addr() + "/0?master_name=" + name, Masters: []*Server{master}, Replicas: []*Server{replica},
		promoted: func(ctx context.Context, _, now *Server) bool {
			return sentinel.namedValue(ctx, "port", "sentinel", "master", name) == strconv.Itoa(now.port)
		},
	}
}

// replicaOf returns the role of a replica of master.
func replicaOf(master *Server) role {
	return role{ready: loaded, arguments: func(*Server) []string {
		return []string{"--replicaof", "127.0.0.1 " + strconv.Itoa(master.port), "--repl-diskless-sync-delay", "0"}
	}}
}

// StartCluster starts a Cluster of three masters with one replica each.
func StartCluster(t testing.TB) *Topology {
	t.Helper()
	const masters = 3
	s := &Topology{t: t}
	member := role{ready: loaded, arguments: func(s *Server) []string {
		return []string{"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", downAfterMillis,
			"--cluster-port", strconv.Itoa(freePort(t)), "--repl-diskless-sync-delay", "0"}
	}}
	for range masters {
		s.Masters, s.Replicas = append(s.Masters, start(t, member)), append(s.Replicas, start(t, member))
	}
	all := slices.Concat(s.Masters, s.Replicas)
	for i, server := range all {
		server.must("cluster", "set-config-epoch", strconv.Itoa(i+1))
		all[0].must("cluster", "meet", "127.0.0.1", strconv.Itoa(server.port), server.config("cluster-port"))
	}
	for i, server := range s.Masters {
		server.must("cluster", "addslotsrange", strconv.Itoa(i*slots/masters), strconv.Itoa((i+1)*slots/masters-1))
		id := server.must("cluster", "myid")
		await(t, "the replica's master", func(ctx context.Context) bool { return s.Replicas[i].try(ctx, "cluster", "replicate", id) == nil })
	}
	addresses := make([]string, len(all))
	for i, server := range all {
		addresses[i] = server.Addr()
		await(t, "the Cluster", func(ctx context.Context) bool {
			return strings.Contains(server.text(ctx, "cluster", "info"), "cluster_state:ok") && (i < masters || server.info(ctx, "master_link_status") == "up")
		})
	}
	s.promoted = func(ctx context.Context, old, now *Server) bool {
		return !slices.ContainsFunc(all, func(server *Server) bool {
			return server != old && server.command != nil && !owns(server.text(ctx, "cluster", "nodes"), now.Addr())
		})
	}
	s.URL = "redis://" + addresses[0] + "?addr=" + strings.Join(addresses[1:], "&addr=")
	return s
}

// owns reports whether a server owns slots according to the output of CLUSTER NODES.
func owns(nodes, address string) bool {
	const columns = 8 // before the slots
	for line := range strings.Lines(nodes) {
		if words := strings.Fields(line); len(words) > columns && strings.HasPrefix(words[1], address+"@") {
			return true
		}
	}
	return false
}

// await waits until so returns true.
func await(t testing.TB, what string, so func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), formationTimeout)
	defer cancel()
	for !so(ctx) {
		select {
		case <-ctx.Done():
			t.Fatalf("%s is not there", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// do sends a command to the server.
func (s *Server) do(ctx context.Context, words ...string) *redis.Cmd {
	c := redis.NewClient(&redis.Options{Addr: s.Addr()})
	defer func() { _ = c.Close() }()
	command := make([]any, len(words))
	for i, w := range words {
		command[i] = w
	}
	return c.Do(ctx, command...)
}

func (s *Server) try(ctx context.Context, words ...string) error { return s.do(ctx, words...).Err() }

// text returns the reply to a command, empty on failure.
func (s *Server) text(ctx context.Context, words ...string) string {
	text, _ := s.do(ctx, words...).Text() // the caller retries
	return text
}

// must returns the reply to a command and fails the test on an error.
func (s *Server) must(words ...string) string {
	s.t.Helper()
	got, err := s.do(s.t.Context(), words...).Text()
	if err != nil {
		s.t.Fatalf("%v: %v", words, err)
	}
	return got
}

// info returns a field of INFO.
func (s *Server) info(ctx context.Context, field string) string {
	for line := range strings.Lines(s.text(ctx, "info")) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), ":"); found && name == field {
			return value
		}
	}
	return ""
}

// namedValue returns the named value in a reply of names and values.
func (s *Server) namedValue(ctx context.Context, name string, words ...string) string {
	got, _ := s.do(ctx, words...).Result() // the caller retries
	switch got := got.(type) {
	case map[any]any:
		return fmt.Sprint(got[name])
	case []any:
		for i := 0; i+1 < len(got); i += 2 {
			if got[i] == name {
				return fmt.Sprint(got[i+1])
			}
		}
	}
	return ""
}

// config returns a value of the server's configuration.
func (s *Server) config(name string) string {
	return s.namedValue(s.t.Context(), name, "config", "get", name)
}
