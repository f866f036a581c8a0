package redistest_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/redistest"
)

// TestFailOver: a promoted replica has its master's data.
func TestFailOver(t *testing.T) {
	for name, tt := range map[string]struct {
		start func(testing.TB) *redistest.Topology
		dial  func(url string) (redis.UniversalClient, error)
	}{
		"Sentinel": {redistest.StartSentinel, func(url string) (redis.UniversalClient, error) {
			o, err := redis.ParseFailoverURL(url)
			return redis.NewFailoverClient(o), err
		}},
		"Cluster": {redistest.StartCluster, func(url string) (redis.UniversalClient, error) {
			o, err := redis.ParseClusterURL(url)
			return redis.NewClusterClient(o), err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := tt.start(t)
			dial := func() redis.UniversalClient {
				client, err := tt.dial(s.URL)
				if err != nil {
					t.Fatal(err)
				}
				return client
			}
			before := dial()
			for _, key := range []string{"a", "b", "c"} { // in different slots, on different masters
				if err := before.Set(t.Context(), key, "v", 0).Err(); err != nil {
					t.Fatal(err)
				}
			}
			before.Close()
			s.AwaitReplicas()
			for i := range s.Masters {
				s.FailOver(i)
			}
			after := dial() // go-redis updates its view of a Cluster late
			defer after.Close()
			for _, key := range []string{"a", "b", "c"} {
				if v, err := after.Get(t.Context(), key).Result(); v != "v" || err != nil {
					t.Errorf("%s is %q, %v", key, v, err)
				}
			}
		})
	}
}
