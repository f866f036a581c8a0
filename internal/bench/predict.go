package bench

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
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
	Asked      map[string]bool    // kinds that the query asks for as they were asked for before, so that they may be refreshed early
	Lives      map[string]Life
	Load       time.Duration // what a console call takes, as measured
	Execution  time.Duration // what a query that is executed takes, as measured
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

// Predict plays the mix as the gateway's rules decide it: requests come at random
// (Poisson), from principals drawn evenly, and at even steps one of them is a mutation;
// each principal's answer of a kind lives as long as its table says or until the next
// mutation, and may be refreshed shortly before its end; the answer of the whole query
// lives as long as all that it was made from; identical queries under way share one
// execution. Closed formulas (see the tests) hold only for one kind, in a window much
// longer than its life.
func Predict(m Mix) Prediction {
	var calls, hits, queries, operations float64
	for run := range uint64(predictionRuns) {
		p := player{Mix: m, draw: rand.New(rand.NewPCG(1, run))} //nolint:gosec // to be repeatable
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
	kinds   []string  // of Reads
	changes []float64 // when mutations made what they change unreadable
	kept    []principal

	calls, hits, queries, operations float64
}

// principal is what is kept for one.
type principal struct {
	loaded map[string]float64 // when a kind was
	until  float64            // how long the answer is fresh; 0: it is not kept
	oldest float64            // when the oldest part of it was loaded that a mutation changes
	ended  float64            // when the last execution that others may share does
	part   float64            // and when the oldest part of that was loaded
}

// request is one at a time; a mutation if it has no principal.
type request struct {
	at  float64
	who int
}

func (p *player) play() {
	p.kept = make([]principal, p.Principals)
	for i := range p.kept {
		p.kept[i].loaded = map[string]float64{}
	}
	p.kinds = slices.Sorted(maps.Keys(p.Reads))
	for _, r := range p.requests() {
		var calls float64
		hit, query := false, r.who >= 0
		if query {
			calls, hit = p.query(&p.kept[r.who], r.at)
		} else {
			calls = p.Write
		}
		if r.at < p.WarmUp.Seconds() {
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

// requests draws all of them: who asks now may have to wait for what a later mutation decides.
func (p *player) requests() (all []request) {
	end := (p.WarmUp + p.Window).Seconds()
	for now := p.gap(0); now < end; now += p.gap(now) {
		r := request{now, -1}
		if p.Every == 0 || (len(all)+1)%p.Every != 0 {
			r.who = p.draw.IntN(p.Principals)
		} else {
			p.changes = append(p.changes, now+p.Write*p.Load.Seconds())
		}
		all = append(all, r)
	}
	return all
}

// gap is the time from now to the next request.
func (p *player) gap(now float64) float64 {
	if now < p.WarmUp.Seconds() {
		return p.draw.ExpFloat64() / p.WarmRate
	}
	return p.draw.ExpFloat64() / p.Rate
}

// changed says whether a mutation made something unreadable after one moment, up to another.
func (p *player) changed(after, upTo float64) bool {
	i, exact := slices.BinarySearch(p.changes, after)
	if exact {
		i++
	}
	return i < len(p.changes) && p.changes[i] <= upTo
}

// query answers one, and says what it costs and whether it was a hit.
func (p *player) query(who *principal, now float64) (calls float64, hit bool) {
	if now < who.ended {
		if !p.changed(who.part, who.ended) {
			return 0, true // by the execution under way
		}
		// It is from before a change: who has waited for it executes alone, joined by nobody.
		calls, _ = p.execute(who, who.ended)
		return calls, false
	}
	if now < who.until && !p.changed(who.oldest, now) {
		return 0, true
	}
	calls, who.ended = p.execute(who, now)
	who.part = who.oldest
	return calls, false
}

// execute answers by an execution, and says what it costs, and when it ends.
func (p *player) execute(who *principal, now float64) (calls, ended float64) {
	known := len(who.loaded) > 0 // and so is what follows what
	waits, stale := false, []string(nil)
	who.until, who.oldest = math.Inf(1), math.Inf(1)
	use := func(kind string, loaded float64) {
		who.until = min(who.until, loaded+p.Lives[kind].Fresh.Seconds())
		if p.Changed[kind] {
			who.oldest = min(who.oldest, loaded)
		}
	}
	for _, kind := range p.kinds {
		at, loaded := who.loaded[kind]
		life := p.Lives[kind]
		// What a mutation touched is never given, however fresh it was.
		loaded = loaded && (!p.Changed[kind] || !p.changed(at, now))
		switch age := now - at; {
		case loaded && age < life.Fresh.Seconds():
			use(kind, at)
			if !p.early(kind, life.Fresh.Seconds()-age) {
				continue
			}
		case loaded && age < (life.Fresh+life.Stale).Seconds():
			stale = append(stale, kind)
		default:
			waits = true
			use(kind, now)
		}
		who.loaded[kind] = now
		calls += p.Reads[kind]
	}
	ended = now + p.Execution.Seconds()
	if !waits {
		ended = max(now, ended-p.Load.Seconds())
	}
	for _, kind := range stale {
		use(kind, now) // it is asked for at once with what is waited for, and so comes in time
	}
	if len(stale) > 0 && (!waits || !known) || p.changed(who.oldest, ended) {
		who.until = 0 // an answer with something stale in it, or changed meanwhile, is not kept
	}
	return calls, ended
}

// early says whether what has left until its end is refreshed now, by the gateway's rule
// (see responsecache): the more likely the nearer the end is, measured in loads.
func (p *player) early(kind string, left float64) bool {
	if !p.Asked[kind] {
		return false
	}
	life := p.Lives[kind].Fresh.Seconds()
	cost := min(p.Load.Seconds(), life/10)
	return left <= life/2 && p.draw.ExpFloat64()*cost >= left
}
