package edge

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/cors"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
)

// ParseOrigin checks that s is an origin as browsers send it (RFC 6454, section 6.2): scheme, host,
// and a port other than the default. Wildcards are not accepted, since not every comparison of
// origins supports them. The error repeats no credentials, query or fragment.
func ParseOrigin(s string) error {
	u, err := url.Parse(s)
	ports := map[string]string{"http": "80", "https": "443"}
	if err != nil || ports[u.Scheme] == "" || u.Host == "" || s != u.Scheme+"://"+u.Host ||
		u.Port() == ports[u.Scheme] || s != strings.ToLower(s) || strings.ContainsAny(s, "*?") || strings.HasSuffix(s, ":") {
		if strings.ContainsAny(s, "@?#") {
			s = "a URL with credentials, a query or a fragment"
		} else {
			s = strconv.Quote(s)
		}
		return fmt.Errorf("%s is no origin such as https://dashboards.example", s)
	}
	return nil
}

// rebindingGuard protects callers without credentials, and agents, against DNS rebinding: a page
// could have its own host name resolve to this gateway. It checks the host of the request's Origin. If
// there is none, it checks the Host header: browsers send no Origin with a same-origin GET,
// and "null" on request. It accepts an https Origin, since its certificate proves the name.
// Otherwise it accepts only names that are not in the public DNS, and the hosts of the allowed
// origins. Requests with credentials do not come from such a page.
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
			own = r.TLS != nil || isLocal(host) || hosts[host] || hasCredentials(r.Header)
		}
		if !own {
			graphqlhttp.WriteError(w, r, http.StatusForbidden, fault.New(fault.Forbidden, "use the gateway by its address, by a local name, or by the name of one of the allowed origins; pages also over https"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostOf returns the host of a URL, in lower case and without its port; empty if the URL is
// invalid.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.User != nil {
		return ""
	}
	return strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
}

// isLocal reports whether a host is not in the public DNS. That is an address, a name without
// a dot, or one below a reserved domain (RFC 6761, RFC 6762, ".internal" of ICANN).
func isLocal(host string) bool {
	if host == "" {
		return false
	}
	_, notAddress := netip.ParseAddr(host)
	return notAddress == nil || !strings.Contains(host, ".") ||
		slices.ContainsFunc([]string{".localhost", ".local", ".internal"}, func(domain string) bool { return strings.HasSuffix(host, domain) })
}

func hasCredentials(h http.Header) bool {
	return len(graphqlhttp.NonEmpty(h.Values("Authorization")))+len(graphqlhttp.NonEmpty(h.Values("X-Api-Key"))) > 0
}

// rejectCrossOrigin refuses cross-origin requests of browsers, by form, link, image or WebSocket
// (CSRF). A browser in a trusted network sends them to any host that a page names. A GET is
// checked like a POST, unlike in http.CrossOriginProtection. If a browser sends neither
// Sec-Fetch-Site nor Origin, as with an image over http, its Referer is checked. Other clients
// send none of these headers and pass.
func (s *server) rejectCrossOrigin() func(http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	for _, origin := range s.opts.Origins {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			s.opts.Logger.Error("origin not allowed", "origin", origin, "error", err)
		}
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(r.Header.Values("Origin")) > 1 || len(r.Header.Values("Sec-Fetch-Site")) > 1 {
				graphqlhttp.WriteError(w, r, http.StatusForbidden, fault.New(fault.Forbidden, "send one Origin and one Sec-Fetch-Site header, not several"))
				return
			}
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

// originOf returns the origin of a URL; empty if it has none.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// allowOrigins answers CORS requests: it allows the pages of the allowed origins, and no others.
func (s *server) allowOrigins() func(http.Handler) http.Handler {
	const hour = 3600
	return cors.Handler(cors.Options{
		AllowedOrigins: s.opts.Origins,
		AllowedMethods: []string{http.MethodGet, http.MethodPost},
		AllowedHeaders: []string{"*"}, // clients send custom headers, and the allowed origins are trusted
		ExposedHeaders: []string{"Age", "ETag", "Retry-After", accesslog.HeaderRequestID},
		MaxAge:         hour,
	})
}
