package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Memory returns a field of the process's status in bytes: VmRSS is its present memory, VmHWM
// its maximum.
func (p *Process) Memory(figure string) int64 {
	p.T.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
	if err != nil {
		p.T.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, figure+":"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				p.T.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	p.T.Fatalf("no figure %s", figure)
	return 0
}
