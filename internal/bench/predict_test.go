package bench

import (
	"math"
	"testing"
	"time"
)

// TestPredictionAgrees with the closed formulas where they hold:
// a window much longer than what is kept lives, and nothing given stale.
func TestPredictionAgreesWithTheFormula(t *testing.T) {
	const rate, principals = 200.0, 20
	for name, c := range map[string]struct {
		life, execution time.Duration
		every           int
		hits            float64
	}{
		// Each miss is followed by the reads of one life.
		"lifetimes alone": {2 * time.Second, 0, 0, 20. / 21},
		// Between two mutations each principal that reads at all misses once.
		"mutations alone":    {time.Hour, 0, 100, 1 - principals*(1-math.Pow(1-1./principals, 99))/99},
		"frequent mutations": {time.Hour, 0, 10, 1 - principals*(1-math.Pow(1-1./principals, 9))/9},
		// Each execution is shared by who asks meanwhile.
		"executions alone": {1, 100 * time.Millisecond, 0, 1. / 2},
		// A life counts from the begin of the load.
		"lifetimes and executions": {2 * time.Second, 100 * time.Millisecond, 0, 20. / 21},
	} {
		t.Run(name, func(t *testing.T) {
			got := Predict(Mix{
				Rate: rate, WarmRate: rate, Principals: principals, Every: c.every,
				Reads: map[string]float64{"workflows": 1}, Write: 2, Changed: map[string]bool{"workflows": true},
				Lives: map[string]Life{"workflows": {Fresh: c.life}}, Execution: c.execution, WarmUp: 10 * time.Second, Window: 30 * time.Second,
			})
			share := 0.0
			if c.every > 0 {
				share = 1 / float64(c.every)
			}
			within(t, "hits", got.Hits, c.hits, 0.03)
			within(t, "calls", got.Calls, (1-share)*(1-c.hits)+share*2, 0.03)
		})
	}
}

func TestPredictionOfKinds(t *testing.T) {
	mix := Mix{
		Rate: 100, WarmRate: 100, Principals: 10, Reads: map[string]float64{"workflows": 1, "robots": 2},
		Lives: DefaultLives(), WarmUp: 20 * time.Second, Window: 20 * time.Second,
	}
	plain := Predict(mix)
	mix.Lives = map[string]Life{"workflows": {Fresh: time.Hour}, "robots": {Fresh: time.Hour}}
	if forever := Predict(mix); forever.Calls != 0 || forever.Hits != 1 {
		t.Errorf("what lives for ever is predicted to take %v calls, hits %v", forever.Calls, forever.Hits)
	}
	mix.Every, mix.Changed = 10, map[string]bool{"workflows": true}
	if changed := Predict(mix); changed.Hits >= plain.Hits {
		t.Errorf("with mutations hits are %v, without %v", changed.Hits, plain.Hits)
	}
	mix.Changed = map[string]bool{"queues": true}
	if other := Predict(mix); other.Hits != 1 {
		t.Errorf("mutations of what is not read leave hits of %v", other.Hits)
	}
	mix.Rate, mix.WarmRate = 1e-9, 1e-9
	if none := Predict(mix); none != (Prediction{}) {
		t.Errorf("without requests the prediction is %v", none)
	}
}

// What is asked for again and again is refreshed a little before its end, if something
// else keeps the answer as a whole from being given again.
func TestPredictionOfEarlyRefreshes(t *testing.T) {
	mix := Mix{
		Rate: 100, WarmRate: 100, Principals: 1, Reads: map[string]float64{"workflows": 1, "other": 0},
		Lives: map[string]Life{"workflows": {Fresh: 10 * time.Second}}, WarmUp: 20 * time.Second, Window: 200 * time.Second,
		Load: 500 * time.Millisecond,
	}
	late := Predict(mix).Calls
	mix.Asked = map[string]bool{"workflows": true}
	early := Predict(mix).Calls
	within(t, "calls", late, 1./1001, 0.05)
	// With cost d and reads every g seconds, none of the reads up to x before the end refreshes
	// with the probability exp(-Σ exp(-y/d)), y from x on in steps of g.
	mean, survive := 0.0, 1.0
	const d, g = 0.5, 0.01
	for left := 5.0; left > 0; left -= g {
		p := math.Exp(-left / d)
		mean += survive * p * (10 - left)
		survive *= 1 - p
	}
	mean += survive * 10
	within(t, "calls with early refreshes", early, 1/(100*mean), 0.05)
	if early <= late {
		t.Errorf("%v calls with early refreshes, %v without", early, late)
	}
}

// An answer that was changed while it was made is shared with nobody, and not kept.
func TestPredictionOfChangesMeanwhile(t *testing.T) {
	mix := Mix{
		Rate: 100, WarmRate: 100, Principals: 1, Every: 2, Reads: map[string]float64{"workflows": 1},
		Changed: map[string]bool{"workflows": true}, Lives: map[string]Life{"workflows": {Fresh: time.Hour}},
		WarmUp: time.Second, Window: 10 * time.Second, Execution: 200 * time.Millisecond,
	}
	if got := Predict(mix); got.Hits > 0.01 {
		t.Errorf("hits are %v, though each answer is changed before it is there", got.Hits)
	}
}
