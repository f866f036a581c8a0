package bench

import (
	"math"
	"testing"
	"time"
)

// TestPredictionAgreesWithTheFormula compares with the closed formula where it holds:
// a window much longer than the lifetimes, and nothing given stale.
func TestPredictionAgreesWithTheFormula(t *testing.T) {
	const rate, principals = 200.0, 20
	for name, c := range map[string]struct {
		life      time.Duration
		mutations float64
	}{
		"lifetimes alone":   {2 * time.Second, 0},
		"mutations alone":   {time.Hour, 0.01},
		"both":              {time.Second, 0.01},
		"nothing is kept":   {0, 0.01},
		"mutations prevail": {2 * time.Second, 0.3},
	} {
		t.Run(name, func(t *testing.T) {
			got := Predict(Mix{
				Rate: rate, Principals: principals, Mutations: c.mutations,
				Reads: map[string]float64{"workflows": 1}, Write: 2, Changed: map[string]bool{"workflows": true},
				Lives: map[string]Life{"workflows": {Fresh: c.life}}, WarmUp: 10 * time.Second, Window: 30 * time.Second,
			})
			reads, writes := rate*(1-c.mutations)/principals, rate*c.mutations
			kept := c.life.Seconds()
			if writes > 0 {
				kept = (1 - math.Exp(-writes*kept)) / writes
			}
			hits := reads * kept / (1 + reads*kept)
			within(t, "hits", got.Hits, hits, 0.03)
			within(t, "calls", got.Calls, (1-c.mutations)*(1-hits)+c.mutations*2, 0.03)
		})
	}
}

func TestPredictionOfKinds(t *testing.T) {
	mix := Mix{
		Rate: 100, Principals: 10, Reads: map[string]float64{"workflows": 1, "robots": 2},
		Lives: DefaultLives(), WarmUp: 20 * time.Second, Window: 20 * time.Second,
	}
	plain := Predict(mix)
	mix.Lives = map[string]Life{"workflows": {Fresh: time.Hour}, "robots": {Fresh: time.Hour}}
	if forever := Predict(mix); forever.Calls != 0 || forever.Hits != 1 {
		t.Errorf("what lives for ever is predicted to take %v calls, hits %v", forever.Calls, forever.Hits)
	}
	mix.Mutations, mix.Changed = 0.1, map[string]bool{"workflows": true}
	if changed := Predict(mix); changed.Hits >= plain.Hits {
		t.Errorf("with mutations hits are %v, without %v", changed.Hits, plain.Hits)
	}
	mix.Changed = map[string]bool{"queues": true}
	if other := Predict(mix); other.Hits != 1 {
		t.Errorf("mutations of what is not read leave hits of %v", other.Hits)
	}
	mix.Rate = 1e-9
	if none := Predict(mix); none != (Prediction{}) {
		t.Errorf("without requests the prediction is %v", none)
	}
}
