// Package bench measures the gateway from outside. Simulator, Redis and gateway run as
// processes, and a load generator sends requests. The operating system and the gateway's
// metrics show the cost of an operation.
package bench

import (
	"fmt"
	"strings"
	"time"
)

// Modes of a scenario.
const (
	modeCeiling = "ceiling" // a bare net/http handler that writes the same bytes
	modeCold    = "cold"    // every cache off
	modeWarm    = "warm"    // one principal repeats its requests
	modeMixed   = "mixed"   // many principals, and occasional mutations
)

// Scenario is a row of the table.
type Scenario struct {
	Mode    string
	Op      string
	Conns   int
	Latency time.Duration // latency of each console call
}

// Name returns the scenario's name in the Go benchmark format, without "Benchmark".
func (s Scenario) Name() string {
	return fmt.Sprintf("%s%s/op=%s/conns=%d/latency=%d",
		strings.ToUpper(s.Mode[:1]), s.Mode[1:], s.Op, s.Conns, s.Latency.Milliseconds())
}

// query returns the text of an operation; empty for an unknown one.
func query(op string) string {
	switch op {
	case "list":
		return `{ workflows(first: 50) { nodes { id name priority lastTriggeredAt } } }`
	case "join":
		return `{ workflows(first: 50) { nodes { id name package { name lastVersion } queue { name } version { version } robots { name status } } } }`
	default:
		return ""
	}
}

// Scenarios returns all combinations that make sense. The ceiling has no console, and so no
// latency.
func Scenarios(modes, ops []string, conns []int, latencies []time.Duration) []Scenario {
	var all []Scenario
	for _, mode := range modes {
		for _, op := range ops {
			for _, c := range conns {
				for i, latency := range latencies {
					if mode == modeCeiling {
						if i > 0 {
							continue
						}
						latency = 0
					}
					all = append(all, Scenario{mode, op, c, latency})
				}
			}
		}
	}
	return all
}

// Measurement is the result of one run of a scenario.
type Measurement struct {
	Requests  int           // answers received
	Elapsed   time.Duration // from its first request to its last
	P50, P99  time.Duration
	CPU       time.Duration // of the measured process, per operation
	Calls     float64       // of the console, per operation
	Hits      float64       // share of queries answered from the cache
	Evictions float64       // entries evicted from the response cache, per operation
	Resident  uint64        // bytes, at the end
	Peak      uint64        // bytes, at most
}

// Rate returns operations per second.
func (m Measurement) Rate() float64 { return float64(m.Requests) / m.Elapsed.Seconds() }
