package bench

import (
	"math/rand/v2"
	"time"
)

// Life is for how long an answer of a kind is fresh, and for how long after that it
// is still given while it is fetched anew in the background.
type Life struct{ Fresh, Stale time.Duration }

// DefaultLives are the gateway's defaults of the kinds that the operations read.
func DefaultLives() map[string]Life {
	return map[string]Life{
		"workflows": {10 * time.Second, 5 * time.Second},
		"queues":    {15 * time.Second, 5 * time.Second},
		"packages":  {time.Minute, 15 * time.Second},
		"robots":    {2 * time.Second, time.Second},
	}
}

// Mix is what the mixed scenario's arithmetic starts from.
type Mix struct {
	Rate       float64 // requests per second in the window
	WarmRate   float64 // and before it, when little is kept
	Principals int
	Every      int                // one in so many requests mutates; 0: none
	Reads      map[string]float64 // console calls of one query with nothing kept, by kind
	Write      float64            // console calls of one mutation
	Changed    map[string]bool    // kinds that a mutation makes unreadable, for all principals
	Lives      map[string]Life
	WarmUp     time.Duration // not counted
	Window     time.Duration // counted
}

// Prediction is what the arithmetic says of the mixed scenario.
type Prediction struct {
	Calls float64 // of the console, per operation
	Hits  float64 // share of the queries that need not be executed
}

// predictionRuns is how often the mix is played: the mean is then good to about a percent.
const predictionRuns = 40

// Predict plays the mix as the lifetimes alone decide it: requests come at random
// (Poisson), from principals drawn evenly, and at even steps one of them is a mutation; each principal's answer of a kind lives
// as long as its table says or until the next mutation; the answer of the whole
// query lives as long as all that it was made from. Closed formulas (see the tests)
// hold only for one kind, in a window much longer than its life.
func Predict(m Mix) Prediction {
	var calls, hits, queries, operations float64
	for run := range uint64(predictionRuns) {
		p := player{Mix: m, draw: rand.New(rand.NewPCG(1, run)), changed: -1} //nolint:gosec // to be repeatable
		p.play()
		calls, hits, queries, operations = calls+p.calls, hits+p.hits, queries+p.queries, operations+p.operations
	}
	if queries == 0 {
		return Prediction{}
	}
	return Prediction{calls / operations, hits / queries}
}

// player is one run. Times are in seconds from its begin.
type player struct {
	Mix
	draw    *rand.Rand
	changed float64 // time of the last mutation
	kept    []principal
	sent    int

	calls, hits, queries, operations float64
}

// principal is what is kept for one.
type principal struct {
	loaded map[string]float64 // when a kind was
	whole  bool               // the answer of the query is kept, as long as all kinds are fresh
}

func (p *player) play() {
	p.kept = make([]principal, p.Principals)
	for i := range p.kept {
		p.kept[i].loaded = map[string]float64{}
	}
	end := (p.WarmUp + p.Window).Seconds()
	for now := p.gap(0); now < end; now += p.gap(now) {
		var calls float64
		p.sent++
		hit, query := false, p.Every == 0 || p.sent%p.Every != 0
		if query {
			calls, hit = p.query(&p.kept[p.draw.IntN(p.Principals)], now)
		} else {
			calls, p.changed = p.Write, now
		}
		if now < p.WarmUp.Seconds() {
			continue
		}
		p.operations++
		p.calls += calls
		if query {
			p.queries++
		}
		if hit {
			p.hits++
		}
	}
}

// gap is the time from now to the next request.
func (p *player) gap(now float64) float64 {
	if now < p.WarmUp.Seconds() {
		return p.draw.ExpFloat64() / p.WarmRate
	}
	return p.draw.ExpFloat64() / p.Rate
}

// query answers one, and says what it costs and whether it was a hit.
func (p *player) query(who *principal, now float64) (calls float64, hit bool) {
	fresh, stale := true, false
	for kind, n := range p.Reads {
		at, loaded := who.loaded[kind]
		age, life := now-at, p.Lives[kind]
		if loaded && age < life.Fresh.Seconds() && (!p.Changed[kind] || p.changed < at) {
			continue
		}
		fresh = false
		// What a mutation touched is never given, however fresh it was.
		if loaded && age < (life.Fresh+life.Stale).Seconds() && (!p.Changed[kind] || p.changed < at) {
			stale = true
		}
		who.loaded[kind] = now
		calls += n
	}
	hit = fresh && who.whole
	who.whole = !stale // an answer with something stale in it is not kept
	return calls, hit
}
