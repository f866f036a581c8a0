package edge

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/go-chi/cors"

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

// ownNames refuses pages whose origin is the gateway's by a name that anybody may have made
// lead here (DNS rebinding): where callers need no credentials, such a page could do all that
// they may. Over https a name is proven, and of others only an address, localhost, or a name
// without a dot is none of the Internet's.
func (s *server) ownNames(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if strings.HasPrefix(origin, "http://") && !slices.Contains(s.opts.Origins, origin) && !isLocal(origin) {
			writeError(w, r, http.StatusForbidden, fault.New(fault.Forbidden, "callers need no credentials here: pages may use the gateway over https, or where their origin is one of the allowed origins"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLocal says whether an origin's host is no name of the public DNS.
func isLocal(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	host := strings.TrimSuffix(u.Hostname(), ".")
	_, notAddress := netip.ParseAddr(host)
	return notAddress == nil || !strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost")
}

// origins lets pages of the allowed origins use the endpoint, and keeps those of
// all others from changing anything in the name of whoever looks at them: where
// callers need no credentials a browser in a trusted network is such a caller,
// and sends a form to any host that a page names. Clients that are no browsers
// are not concerned.
func (s *server) origins() []func(http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	for _, origin := range s.opts.Origins {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			s.opts.Logger.Error("origin not allowed", "origin", origin, "error", err)
		}
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeError(w, r, http.StatusForbidden, fault.New(fault.Forbidden, "pages of this origin may not use the gateway: it is neither that of the Host that the request names nor one of the allowed origins"))
	}))
	chain := []func(http.Handler) http.Handler{protection.Handler}
	if s.opts.Anonymous {
		chain = append(chain, s.ownNames)
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
