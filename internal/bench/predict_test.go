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
		life  time.Duration
		every int
		hits  float64
	}{
		// Each miss is followed by the reads of one life.
		"lifetimes alone": {2 * time.Second, 0, 20. / 21},
		// Between two mutations each principal that reads at all misses once.
		"mutations alone":    {time.Hour, 100, 1 - principals*(1-math.Pow(1-1./principals, 99))/99},
		"frequent mutations": {time.Hour, 10, 1 - principals*(1-math.Pow(1-1./principals, 9))/9},
	} {
		t.Run(name, func(t *testing.T) {
			got := Predict(Mix{
				Rate: rate, WarmRate: rate, Principals: principals, Every: c.every,
				Reads: map[string]float64{"workflows": 1}, Write: 2, Changed: map[string]bool{"workflows": true},
				Lives: map[string]Life{"workflows": {Fresh: c.life}}, WarmUp: 10 * time.Second, Window: 30 * time.Second,
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
