package main

import (
	"math/rand/v2"
	"time"
)

// The mixed load: so many principals, who together ask so often, of which this share
// are mutations.
const (
	principals    = 200
	mixedRate     = 200.0 // requests per second, as far as the answers' own time lets it
	mutationShare = 0.01
	mutation      = `mutation { updateWorkflow(input: {id: "%s", priority: 7}) { workflow { id } } }`
)

// prediction is what the lifetimes let expect.
type prediction struct {
	calls float64 // of the console per request
	hits  float64 // share of the queries
}

// predict plays the arithmetic of the lifetimes: every principal has a copy of each
// kind that the join reads, one call each; a copy ends with its life, and that of the
// workflows with every mutation of the company by anybody. A query is a hit if the
// copies that its answer was last made of are all still there. Answers that are given
// once more, stale, while they are renewed cost the same call, and are no hits.
//
// In numbers that stand still (r requests per principal and second, a copy's mean life
// E), a kind costs 1/(1+r·E) calls per query; the play also gives the hits, for which
// that is a product of what is not independent.
func predict() prediction {
	const (
		rounds  = 400_000
		perRead = 1 / mixedRate
	)
	lives := [...]time.Duration{10 * time.Second, time.Minute, 15 * time.Second, 2 * time.Second} // workflows, packages, queues, robots
	type copies struct {
		ends   [len(lives)]float64
		answer float64
	}
	all := make([]copies, principals)
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a play
	var now, calls, hits, queries, requests float64
	for i := range rounds {
		now += rng.ExpFloat64() * perRead
		counted := i >= rounds/4 // until then, the copies come into their rhythm
		if counted {
			requests++
		}
		if rng.Float64() < mutationShare {
			for p := range all {
				all[p].ends[0], all[p].answer = 0, 0
			}
			if counted {
				calls++
			}
			continue
		}
		p := &all[rng.IntN(principals)]
		if counted {
			queries++
		}
		if now < p.answer {
			if counted {
				hits++
			}
			continue
		}
		for k, life := range lives {
			if now < p.ends[k] {
				continue
			}
			p.ends[k] = now + life.Seconds()
			if counted {
				calls++
			}
		}
		p.answer = min(p.ends[0], p.ends[1], p.ends[2], p.ends[3])
	}
	return prediction{calls: calls / requests, hits: hits / queries}
}
