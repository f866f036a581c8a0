// Package listenaddress checks and compares the addresses of listeners, and makes them reachable.
package listenaddress

import (
	"context"
	"errors"
	"net"
	"syscall"
)

// Reachable replaces an unspecified host by an address that can be dialled.
func Reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// Check checks the form of a listener's address.
func Check(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil && port != "" {
		_, err = net.LookupPort("tcp", port) //nolint:noctx // it asks no server
	}
	if err != nil || port == "" {
		return errors.New("is no address such as 127.0.0.1:8080")
	}
	return nil
}

// Same reports whether two listeners would have one port. Port 0 is another one each time.
func Same(a, b string) bool {
	host, port, _ := net.SplitHostPort(a)
	other, otherPort, _ := net.SplitHostPort(b)
	all := func(host string) bool { return host == "" || net.ParseIP(host).IsUnspecified() }
	return port == otherPort && port != "0" && port != "" && (host == other || all(host) || all(other))
}

// Free lets the system choose the port of an address that is in use, and returns a line that says so.
func Free(ctx context.Context, address *string) (line string) {
	host, _, err := net.SplitHostPort(*address)
	if err != nil {
		return ""
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", *address)
	if err == nil {
		_ = l.Close() // nothing was accepted
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		return ""
	}
	line = *address + " is in use, and another port is taken: the log names it\n"
	*address = net.JoinHostPort(host, "0")
	return line
}
