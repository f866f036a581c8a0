package accesslog

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the networks whose X-Forwarded-For is trusted.
type Proxies []netip.Prefix

// ParseProxies parses networks such as 10.0.0.0/8. Its error does not repeat the URL of a proxy, which may hold a password.
func ParseProxies(networks []string) (Proxies, error) {
	var all Proxies
	for _, text := range networks {
		network, err := netip.ParsePrefix(text)
		if err != nil && strings.Contains(text, "@") {
			err = errors.New("a URL with credentials is no network such as 10.0.0.0/8")
		}
		if err != nil {
			return nil, err
		}
		all = append(all, network.Masked())
	}
	return all, nil
}

// maxAgent bounds a user agent in logs, in bytes.
const maxAgent = 256

// SetClient records the address and the user agent of the request's client.
func (e *Entry) SetClient(r *http.Request, proxies Proxies) {
	agent := strings.ToValidUTF8(r.UserAgent(), "")
	e.mu.Lock()
	defer e.mu.Unlock()
	e.address, e.agent = proxies.client(r), agent[:min(len(agent), maxAgent)]
}

// Client returns the address and the user agent of the client; empty unless SetClient was called.
func (e *Entry) Client() (address, agent string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.address, e.agent
}

// client returns the address of a request's client. It is the last one in X-Forwarded-For that is no trusted proxy, if
// trusted proxies have added all that follow. Other clients can forge the header.
func (p Proxies) client(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	client := peer.Addr().Unmap()
	var hops []string
	for _, value := range r.Header["X-Forwarded-For"] {
		hops = append(hops, strings.Split(value, ",")...)
	}
	for i := len(hops) - 1; i >= 0 && p.trusts(client); i-- {
		hop := strings.TrimSpace(hops[i])
		next, err := netip.ParseAddr(hop)
		if with, portErr := netip.ParseAddrPort(hop); portErr == nil {
			next, err = with.Addr(), nil
		}
		if err != nil {
			break
		}
		client = next.Unmap().WithZone("")
	}
	return client.String()
}

func (p Proxies) trusts(a netip.Addr) bool {
	for _, network := range p {
		if network.Contains(a) {
			return true
		}
	}
	return false
}
