package edge

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/go-chi/cors"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
)

// ParseOrigin checks that s is an origin as browsers send it: scheme and host,
// with the port unless it is the scheme's own (RFC 6454, section 6.2). There are no
// wildcards: what looks like one is none to some of those who compare origins.
func ParseOrigin(s string) error {
	u, err := url.Parse(s)
	ports := map[string]string{"http": "80", "https": "443"}
	if err != nil || ports[u.Scheme] == "" || u.Host == "" || s != u.Scheme+"://"+u.Host ||
		u.Port() == ports[u.Scheme] || s != strings.ToLower(s) || strings.ContainsAny(s, "*?") || strings.HasSuffix(s, ":") {
		return fmt.Errorf("%q is no origin such as https://dashboards.example", s)
	}
	return nil
}

// rebindingGuard refuses requests under names that anybody may have made lead here (DNS
// rebinding): where callers need no credentials, a page of such a name could do all that
// they may. A request is judged by its Origin, and one whose Origin names no host by its Host:
// browsers send no Origin with a GET to the page's own host, and "null" where the page asks for
// it. Over https an Origin is proven; of others only names that are none of the Internet's
// pass, and the hosts of the allowed origins. A caller that shows credentials is no such page.
func (s *server) rebindingGuard(next http.Handler) http.Handler {
	hosts := make(map[string]bool, len(s.opts.Origins))
	for _, origin := range s.opts.Origins {
		hosts[hostOf(origin)] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		var own bool
		switch {
		case strings.HasPrefix(origin, "https://"):
			own = true
		case strings.HasPrefix(origin, "http://"):
			own = slices.Contains(s.opts.Origins, origin) || isLocal(hostOf(origin))
		default:
			host := hostOf("http://" + r.Host)
			own = r.TLS != nil || isLocal(host) || hosts[host] || showsCredentials(r.Header)
		}
		if !own {
			graphqlhttp.WriteError(w, r, http.StatusForbidden, fault.New(fault.Forbidden, "callers need no credentials here: use the gateway by its address, by a local name, or by the name of one of the allowed origins; pages also over https"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostOf is the host that a URL names, in lower case and without its port; empty where it cannot be read.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.User != nil {
		return ""
	}
	return strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
}

// isLocal says whether a host is no name of the public DNS: an address, a name without a dot,
// or one below a domain that is reserved for local names (RFC 6761, RFC 6762, ".internal" of ICANN).
func isLocal(host string) bool {
	if host == "" {
		return false
	}
	_, notAddress := netip.ParseAddr(host)
	return notAddress == nil || !strings.Contains(host, ".") ||
		slices.ContainsFunc([]string{".localhost", ".local", ".internal"}, func(domain string) bool { return strings.HasSuffix(host, domain) })
}

func showsCredentials(h http.Header) bool {
	return len(graphqlhttp.NonEmpty(h.Values("Authorization")))+len(graphqlhttp.NonEmpty(h.Values("X-Api-Key"))) > 0
}

// ownPages refuses requests that the pages of other origins send, be it by a form, a link, an
// image or a WebSocket: a browser in a trusted network sends them to any host that a page names.
// A GET is judged as a POST is, which http.CrossOriginProtection would let pass. Where a browser
// sends neither Sec-Fetch-Site nor Origin, as with an image over http, its Referer counts.
// Clients that are no browsers are not concerned.
func (s *server) ownPages(protection *http.CrossOriginProtection) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			judged := r
			if r.Method == http.MethodGet || r.Method == http.MethodHead {
				as := *r
				as.Method = http.MethodPost
				if referrer := originOf(r.Referer()); r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" && referrer != "" {
					as.Header = http.Header{"Origin": {referrer}}
				}
				judged = &as
			}
			if protection.Check(judged) != nil {
				graphqlhttp.WriteError(w, r, http.StatusForbidden, fault.New(fault.Forbidden, "pages of this origin may not use the gateway: it is neither that of the Host that the request names nor one of the allowed origins"))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// originOf is the origin of a URL, empty where it has none.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// origins lets pages of the allowed origins use the endpoint, and keeps those of
// all others from using it in the name of whoever looks at them.
func (s *server) origins() []func(http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	for _, origin := range s.opts.Origins {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			s.opts.Logger.Error("origin not allowed", "origin", origin, "error", err)
		}
	}
	chain := []func(http.Handler) http.Handler{s.ownPages(protection)}
	if s.opts.Anonymous {
		chain = append(chain, s.rebindingGuard)
	}
	if len(s.opts.Origins) == 0 {
		return chain
	}
	const hour = 3600
	allow := cors.Handler(cors.Options{
		AllowedOrigins: s.opts.Origins,
		AllowedMethods: []string{http.MethodGet, http.MethodPost},
		AllowedHeaders: []string{"*"}, // clients send headers of their own, and the allowed origins are trusted
		ExposedHeaders: []string{"Age", "ETag"},
		MaxAge:         hour,
	})
	return append([]func(http.Handler) http.Handler{allow}, chain...)
}
