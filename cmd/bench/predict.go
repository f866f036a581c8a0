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

// kindPlay is a kind that the join reads, with one call.
type kindPlay struct{ life, stale time.Duration }

// joinKinds are the defaults of the kinds that the join reads: workflows (which the
// mutation ends), packages, queues and robots.
func joinKinds() [4]kindPlay {
	return [...]kindPlay{
		{10 * time.Second, 5 * time.Second},
		{time.Minute, 15 * time.Second},
		{15 * time.Second, 5 * time.Second},
		{2 * time.Second, time.Second},
	}
}

// predict plays the arithmetic of the lifetimes at a rate of requests per second: every
// principal has a copy of each kind that the join reads, one call each; a copy ends with
// its life, and that of the workflows with every mutation of the company by anybody. A
// copy that is read soon after its life is given once more, stale, while it is renewed.
// A query is a hit if the copies that its answer was last made of are all still fresh.
//
// In the mean, a kind costs 1/(1+r·E) calls per query, with r requests per principal and
// second, and E the mean life of a copy, (1−e^(−m·L))/m where m mutations per second end
// copies of life L; the play also gives the hits, for which kinds are not independent.
func predict(rate float64) prediction {
	const rounds = 400_000
	kinds := joinKinds()
	type copies struct {
		ends   [len(kinds)]float64
		answer float64
	}
	all := make([]copies, principals)
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a play
	var now, calls, hits, queries, requests float64
	for i := range rounds {
		now += rng.ExpFloat64() / rate
		counted := 0.0
		if i >= rounds/4 { // until then, the copies come into their rhythm
			counted = 1
		}
		requests += counted
		if rng.Float64() < mutationShare {
			calls += counted
			for p := range all {
				all[p].ends[0], all[p].answer = 0, 0
			}
			continue
		}
		queries += counted
		p := &all[rng.IntN(principals)]
		if now < p.answer {
			hits += counted
			continue
		}
		p.answer = now + time.Hour.Seconds()
		for k, kind := range kinds {
			if now >= p.ends[k] {
				calls += counted
				if now < p.ends[k]+kind.stale.Seconds() && p.ends[k] > 0 {
					p.answer = 0 // what is stale is given, and not kept
				}
				p.ends[k] = now + kind.life.Seconds()
			}
			p.answer = min(p.answer, p.ends[k])
		}
	}
	return prediction{calls: calls / requests, hits: hits / queries}
}
