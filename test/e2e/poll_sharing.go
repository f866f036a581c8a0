package e2e

import (
	"strconv"
	"strings"
)

// Reads returns the number of reads of a kind, by the cache's metrics.
func (w *World) Reads(kind string) (n int) {
	w.T.Helper()
	for line := range strings.Lines(w.Metrics()) {
		if strings.HasPrefix(line, "consoleql_cache_reads_total{") && strings.Contains(line, `kind="`+kind+`"`) {
			fields := strings.Fields(line)
			value, err := strconv.Atoi(fields[len(fields)-1])
			if err != nil {
				w.T.Fatal(err)
			}
			n += value
		}
	}
	return n
}
