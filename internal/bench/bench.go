// Package bench measures the gateway from outside: simulator, Redis and gateway
// run as processes, a load generator drives them, and the operating system and
// the gateway's own metrics say what an operation costs.
package bench

import (
	"fmt"
	"strings"
	"time"
)

// Modes of a scenario.
const (
	Ceiling = "ceiling" // a bare net/http handler that writes the same bytes
	Cold    = "cold"    // every cache off
	Warm    = "warm"    // one principal asks the same again
	Mixed   = "mixed"   // many principals, and a mutation now and then
)

// Scenario is a row of the table.
type Scenario struct {
	Mode    string
	Op      string
	Conns   int
	Latency time.Duration // of each call of the console
}

// Name is the scenario's in the Go benchmark format, without "Benchmark".
func (s Scenario) Name() string {
	return fmt.Sprintf("%s%s/op=%s/conns=%d/latency=%d",
		strings.ToUpper(s.Mode[:1]), s.Mode[1:], s.Op, s.Conns, s.Latency.Milliseconds())
}

// Query is the text of an operation; empty for an unknown one.
func Query(op string) string {
	switch op {
	case "list":
		return `{ workflows(first: 50) { nodes { id name priority lastTriggeredAt } } }`
	case "join":
		return `{ workflows(first: 50) { nodes { id name package { name lastVersion } queue { name } version { version } robots { name status } } } }`
	default:
		return ""
	}
}

// Scenarios are all combinations that make sense: the ceiling knows no console, hence no latency.
func Scenarios(modes, ops []string, conns []int, latencies []time.Duration) []Scenario {
	var all []Scenario
	for _, mode := range modes {
		for _, op := range ops {
			for _, c := range conns {
				for i, latency := range latencies {
					if mode == Ceiling {
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

// Measurement is what one run of a scenario gave.
type Measurement struct {
	Requests  int           // answers that the load generator had
	Elapsed   time.Duration // from its first request to its last
	P50, P99  time.Duration
	CPU       time.Duration // of the measured process, per operation
	Calls     float64       // of the console, per operation
	Hits      float64       // share of the queries that were answered without being executed
	Evictions float64       // from the response cache for want of room, per operation
	Resident  uint64        // bytes, at the end
	Peak      uint64        // bytes, at most
}

// Rate is in operations per second.
func (m Measurement) Rate() float64 { return float64(m.Requests) / m.Elapsed.Seconds() }
