package verify

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/flight"
	"github.com/consoleql/consoleql/internal/telemetry"
)

const (
	// discoveryPath is the path of an OpenID provider's metadata (OpenID Connect Discovery 1.0, section 4).
	discoveryPath = "/.well-known/openid-configuration"
	// fetchTimeout bounds one fetch of the SSO's keys.
	fetchTimeout = 10 * time.Second
	// fetchPause is the minimum time between a fetch without a new key and the next. It bounds the load that tokens
	// with invented key ids cause.
	fetchPause = 10 * time.Second
	// failedPause is the minimum time between a failed fetch and the next.
	failedPause = 2 * time.Second
	// keysAge is the age after which keys are refreshed in the background.
	keysAge = time.Hour
	// maxDocument bounds the size of the SSO's documents, in bytes.
	maxDocument = 1 << 20
	// minKeyBits is the minimum length of an accepted RSA key (RFC 7518, section 3.3).
	minKeyBits = 2048
	// maxCandidates is the maximum number of keys that are tried for a token.
	maxCandidates = 8
)

// keySet is the set of keys that the SSO publishes.
type keySet struct {
	issuers []string
	keys    []publishedKey
	at      time.Time
}

// publishedKey is a key and its id, which may be empty.
type publishedKey struct {
	id     string
	public *rsa.PublicKey
}

// candidates returns the keys that may have signed a token with a key id: those of that id, then those without one (RFC
// 7517, section 4.5). Any key may have signed a token without a key id.
func (s *keySet) candidates(id string) []*rsa.PublicKey {
	if s == nil {
		return nil
	}
	var same, others []*rsa.PublicKey
	for _, k := range s.keys {
		switch {
		case k.id == id:
			same = append(same, k.public)
		case k.id == "" || id == "":
			others = append(others, k.public)
		}
	}
	all := slices.Concat(same, others)
	return all[:min(len(all), maxCandidates)]
}

// keyCache caches the SSO's keys. It serves known keys while the SSO is unavailable.
type keyCache struct {
	discovery string
	issuers   []string // from the settings
	address   string   // URL of the keys, from the settings
	http      *http.Client
	now       func() time.Time
	log       *slog.Logger
	tasks     sync.WaitGroup
	stop      context.Context //nolint:containedctx // ends the fetch in flight when the verifier closes
	cancel    context.CancelFunc

	mu       sync.Mutex
	set      *keySet
	next     time.Time              // time of the earliest next fetch
	failures int                    // failed fetches since the last success
	fetching *flight.Call[struct{}] // the fetch in flight; nil: none
}

func newKeyCache(o Options) (*keyCache, error) {
	base, err := url.Parse(o.SSOURL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, errors.New("verify: the SSO's address is not an http or https URL")
	}
	if at, err := url.Parse(o.KeysURL); o.KeysURL != "" && (err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https") {
		return nil, errors.New("verify: the address of the keys is not an http or https URL")
	}
	k := &keyCache{
		issuers: o.Issuers, address: o.KeysURL,
		discovery: base.JoinPath(discoveryPath).String(),
		http: &http.Client{
			Transport: o.Transport,
			// A redirect could replace the SSO's keys by other ones.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		now: o.Now,
		log: o.Logger,
	}
	k.stop, k.cancel = context.WithCancel(context.Background())
	return k, nil
}

func (k *keyCache) close() {
	k.cancel()
	k.tasks.Wait()
}

// find returns the known candidates for a key id, and their set.
func (k *keyCache) find(id string) (*keySet, []*rsa.PublicKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	keys := k.set.candidates(id)
	if len(keys) > 0 && k.now().Sub(k.set.at) >= keysAge {
		k.startFetch()
	}
	return k.set, keys
}

// refetch is find after a new fetch, unless the last one is too recent. before are the candidates that do not fit. It
// fails if there are no others and the last fetch failed. A fetch that finds others does not delay the next, because
// keys may change twice in a short time.
func (k *keyCache) refetch(ctx context.Context, id string, before []*rsa.PublicKey) (*keySet, []*rsa.PublicKey, error) {
	k.mu.Lock()
	call := k.startFetch()
	k.mu.Unlock()
	if call != nil {
		call.Join()
		if _, err := call.Wait(ctx); err != nil {
			return nil, nil, err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	keys := k.set.candidates(id)
	changed := !slices.EqualFunc(keys, before, func(a, b *rsa.PublicKey) bool { return a.Equal(b) })
	if k.set == nil || k.failures > 0 && !changed {
		return nil, nil, fault.New(fault.UpstreamUnavailable, "the console token cannot be verified: the keys of the console's SSO are not known at the moment")
	}
	if call != nil && changed && len(keys) > 0 {
		k.next = time.Time{}
	}
	return k.set, keys, nil
}

// startFetch starts a fetch of the SSO's keys, unless the last one is too recent. It returns the fetch in flight, or nil. The
// caller must hold k.mu.
func (k *keyCache) startFetch() *flight.Call[struct{}] {
	if k.fetching != nil {
		return k.fetching
	}
	now := k.now()
	if now.Before(k.next) || k.stop.Err() != nil {
		return nil
	}
	call := flight.Background[struct{}](k.stop)
	k.fetching, k.next = call, now.Add(fetchPause)
	k.tasks.Go(func() {
		call.RunLogged(k.log, "fetch of the SSO's keys", func(ctx context.Context) (struct{}, error) {
			defer k.endFetch()
			k.update(ctx)
			return struct{}{}, nil
		})
	})
	return call
}

// endFetch lets the next caller start a fetch.
func (k *keyCache) endFetch() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fetching = nil
}

// update fetches the SSO's keys, and keeps the known ones if that fails.
func (k *keyCache) update(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	set, err := k.fetch(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		k.next = k.now().Add(failedPause)
		k.logFailure(err)
		return
	}
	set.at = k.now()
	k.set = set
	k.logRecovery()
}

// logFailure logs the first of several failures at warn. The caller must hold k.mu.
func (k *keyCache) logFailure(err error) {
	level := slog.LevelDebug
	if k.failures == 0 {
		level = slog.LevelWarn
	}
	k.failures++
	k.log.Log(k.stop, level, "the keys of the console's SSO cannot be read", "error", err, "known", k.set != nil)
}

// logRecovery logs the end of an outage. The caller must hold k.mu.
func (k *keyCache) logRecovery() {
	if k.failures > 0 {
		k.log.Info("the keys of the console's SSO can be read again", "failures", k.failures)
	}
	k.failures = 0
}

// fetch reads the SSO's keys, and its discovery document if a URL is not configured.
func (k *keyCache) fetch(ctx context.Context) (*keySet, error) {
	set := &keySet{issuers: k.issuers}
	address := k.address
	if address == "" || len(set.issuers) == 0 {
		var provider struct {
			Issuer string `json:"issuer"`
			Keys   string `json:"jwks_uri"`
		}
		if err := k.get(ctx, k.discovery, &provider); err != nil {
			return nil, fmt.Errorf("discovery: %w", err)
		}
		if address == "" {
			address = provider.Keys
		}
		if len(set.issuers) == 0 && provider.Issuer != "" {
			set.issuers = []string{provider.Issuer}
		}
	}
	at, err := url.Parse(address)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" || len(set.issuers) == 0 {
		return nil, errors.New("discovery: the document names no issuer and keys")
	}
	var published struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := k.get(ctx, address, &published); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	for _, raw := range published.Keys {
		if id, public := signingKey(raw); public != nil {
			set.keys = append(set.keys, publishedKey{id, public})
		}
	}
	if len(set.keys) == 0 {
		return nil, errors.New("keys: there is none for RS256")
	}
	return set, nil
}

// signingKey reads an RS256 key (RFC 7517), nil for any other. It ignores other members, because some SSOs publish
// certificates (x5c) and thumbprints (x5t) that go-jose rejects.
func signingKey(raw json.RawMessage) (id string, public *rsa.PublicKey) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return "", nil
	}
	maps.DeleteFunc(members, func(name string, _ json.RawMessage) bool {
		return !slices.Contains([]string{"kty", "kid", "use", "alg", "n", "e"}, name)
	})
	needed, err := json.Marshal(members)
	var key jose.JSONWebKey
	if err != nil || json.Unmarshal(needed, &key) != nil {
		return "", nil // an unsupported kind of key
	}
	public, ok := key.Key.(*rsa.PublicKey)
	if !ok || !key.Valid() || public.N.BitLen() < minKeyBits || key.Use != "" && key.Use != "sig" || key.Algorithm != "" && key.Algorithm != string(jose.RS256) {
		return "", nil
	}
	return key.KeyID, public
}

// get reads a document of the SSO. Its error holds no URL, which may hold a secret.
func (k *keyCache) get(ctx context.Context, address string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return errors.New("its address is not a URL")
	}
	req.Header.Set("Accept", "application/json")
	resp, err := k.http.Do(req)
	if err != nil {
		return errors.New(telemetry.ConnectionCause(err))
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := consoleclient.ReadJSON(resp, maxDocument)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}
