package telemetry

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Other is the value of labels whose own value would create too many series.
const Other = "other"

// maxLabels is the greatest number of labels of a seriesLimit.
const maxLabels = 3

// seriesLimit bounds the combinations of label values of one metric. The first ones are kept. It is safe for concurrent
// use.
type seriesLimit struct {
	most int
	// folded are the labels that become other beyond the limit, by position. The values of the others must be few.
	folded []int

	mu    sync.RWMutex
	known map[[maxLabels]string]struct{}
}

// labels returns the values, or those of the combination that stands for all beyond the limit.
func (s *seriesLimit) labels(values ...string) []string {
	var key [maxLabels]string
	copy(key[:], values)
	s.mu.RLock()
	_, known := s.known[key]
	s.mu.RUnlock()
	if known {
		return values
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) < s.most {
		if s.known == nil {
			s.known = make(map[[maxLabels]string]struct{})
		}
		s.known[key] = struct{}{}
		return values
	}
	values = slices.Clone(values)
	for _, i := range s.folded {
		values[i] = Other
	}
	return values
}

// limitedCounter is a counter with a limit of series.
type limitedCounter struct {
	vec   *prometheus.CounterVec
	limit *seriesLimit
}

func newLimitedCounter(opts prometheus.CounterOpts, most int, labels []string, folded ...int) limitedCounter {
	return limitedCounter{prometheus.NewCounterVec(opts, labels), &seriesLimit{most: most, folded: folded}}
}

func (c limitedCounter) add(n float64, values ...string) {
	c.vec.WithLabelValues(c.limit.labels(values...)...).Add(n)
}

// limitedHistogram is a histogram with a limit of series.
type limitedHistogram struct {
	vec   *prometheus.HistogramVec
	limit *seriesLimit
}

func newLimitedHistogram(opts prometheus.HistogramOpts, most int, labels []string, folded ...int) limitedHistogram {
	return limitedHistogram{prometheus.NewHistogramVec(opts, labels), &seriesLimit{most: most, folded: folded}}
}

func (h limitedHistogram) observe(seconds float64, values ...string) {
	h.vec.WithLabelValues(h.limit.labels(values...)...).Observe(seconds)
}
