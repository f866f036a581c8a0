package responsecache_test

import (
	"context"
	"fmt"
	"time"

	"github.com/consoleql/consoleql/internal/responsecache"
)

// An answer is kept until its life has ended or one of its tags is invalidated. Another
// principal is never given it.
func Example() {
	cache, err := responsecache.New(responsecache.Options{
		Policies: responsecache.Policies{"robots": {Life: time.Minute}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()
	robots, err := responsecache.Of(cache, responsecache.Kind[[]string]{Name: "robots"})
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx := context.Background()
	read := func(principal string) {
		answer, info, err := robots.Get(ctx, responsecache.Read[[]string]{
			Key:  responsecache.Key{Principal: principal, Call: "GET /openapi/robots"},
			Tags: []string{"robots"},
			Load: func(context.Context) ([]string, error) { return []string{"RPA-1"}, nil },
		})
		fmt.Println(principal, answer, info.Source, err)
	}
	read("alice")
	read("alice")
	read("bob")
	fmt.Println(cache.Invalidate(ctx, "robots"))
	read("alice")
	// Output:
	// alice [RPA-1] loaded <nil>
	// alice [RPA-1] memory <nil>
	// bob [RPA-1] loaded <nil>
	// <nil>
	// alice [RPA-1] loaded <nil>
}
