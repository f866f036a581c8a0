//go:build unix

package drain

import "golang.org/x/sys/unix"

// stopIfIdle refuses further connections if none waits to be accepted. It reports false if one waits. Two system calls in a
// row leave the least time for a connection in between, which would be reset.
func stopIfIdle(fd uintptr) bool {
	waiting := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // file descriptors are small
	if n, err := unix.Poll(waiting, 0); err == nil && n > 0 {
		return false
	}
	_ = unix.Shutdown(int(fd), unix.SHUT_RD) // where it is not supported, Close follows
	return true
}
