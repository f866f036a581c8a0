package tokencache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// DefaultPrefix begins the names of the records in Redis.
const DefaultPrefix = "consoleql:token:"

// RedisOptions are the parameters of a Redis store.
type RedisOptions struct {
	// Client is closed by the caller. Its option ContextTimeoutEnabled should be set, so that
	// commands to a hanging server end in time.
	Client redis.UniversalClient
	// Keyring encrypts the tokens; required.
	Keyring *Keyring
	// prefix begins the names of all records; default DefaultPrefix.
	prefix string
	// Now is the clock of the returned records; default time.Now.
	Now func() time.Time
	// Logger receives undecryptable records; default: discarded.
	Logger *slog.Logger
}

// Redis is the Store that replicas share. A record is a hash with an expiry. The hash tag in its name keeps it in one
// slot of Redis Cluster. All times are on the server's clock, and travel as durations, so that replicas need not agree
// on the time. It is safe for concurrent use.
type Redis struct {
	opts                                        RedisOptions
	load, claim, extend, put, fail, create, end *redis.Script
}

// NewRedis returns a Store in the client's Redis (version 7, or a compatible server).
func NewRedis(o RedisOptions) *Redis {
	if o.prefix == "" {
		o.prefix = DefaultPrefix
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	script := func(body string) *redis.Script { return redis.NewScript(scriptHead + body) }
	return &Redis{
		opts: o,
		load: script(scriptLoad), claim: script(scriptClaim), extend: script(scriptExtend),
		put: script(scriptPut), fail: script(scriptFail), create: script(scriptCreate), end: script(scriptEnd),
	}
}

// The scripts do the same as Memory's methods. Times are milliseconds; arguments are durations.
const (
	scriptHead = `
local key = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local names = {'gen', 'sealed', 'at', 'exp', 'refresh', 'spent', 'end', 'ended', 'fails', 'why', 'until', 'owner', 'lease'}
local function read()
  local values, r = redis.call('HMGET', key, unpack(names)), {}
  for i, name in ipairs(names) do r[name] = values[i] end
  for _, name in ipairs({'at', 'exp', 'end', 'fails', 'until', 'lease'}) do r[name] = tonumber(r[name] or '') end
  return r
end
local function ago(t) return t and tostring(t - now) or '' end
local function view(r, status)
  local busy = r.owner and r.lease and math.max(0, r.lease - now) or 0
  return {status, r.gen or '', r.sealed or '', ago(r.at), ago(r.exp), r.spent or '', ago(r['end']), r.ended or '',
    tostring(r.fails or 0), r.why or '', ago(r['until']), tostring(busy)}
end
local function keep(ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, ms) end
end
local function store(gen, sealed, age, left, refresh, ms, ends)
  redis.call('DEL', key)
  redis.call('HSET', key, 'gen', gen, 'sealed', sealed, 'at', now - age, 'exp', now + left, 'refresh', refresh)
  if ends ~= '' then redis.call('HSET', key, 'end', now + ends) end
  redis.call('PEXPIRE', key, ms)
end
`
	scriptLoad  = `return view(read(), 'loaded')`
	scriptClaim = `
local owner, lease, seen, session, margin, kept = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4] == '1', tonumber(ARGV[5]), tonumber(ARGV[6])
if session and redis.call('EXISTS', key) == 0 then return {'absent'} end
local r = read()
if r.ended then return view(r, 'ended') end
if r.gen and r.gen ~= seen and now < r.exp - math.min(margin, (r.exp - r.at) / 10) then return view(r, 'fresh') end
if r['until'] and now < r['until'] then return view(r, 'paused') end
if r.owner and r.owner ~= owner and now < r.lease then return view(r, 'busy') end
redis.call('HSET', key, 'owner', owner, 'lease', now + lease)
if r.refresh == '1' and not session then redis.call('HSET', key, 'spent', '1') end
keep(lease + kept)
return view(r, 'claimed')
`
	scriptExtend = `
if redis.call('HGET', key, 'owner') ~= ARGV[1] then return 0 end
redis.call('HSET', key, 'lease', now + ARGV[2])
return 1
`
	scriptPut = `
local owner, ends = ARGV[1], ARGV[8]
if redis.call('EXISTS', key) == 1 then
  local r = read()
  if r.gen == ARGV[2] then return 1 end
  if r.ended or r.owner ~= owner and r.gen ~= ARGV[9] then return 0 end
elseif ends ~= '' then
  return 0
end
store(ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ends)
return 1
`
	scriptCreate = `
if redis.call('EXISTS', key) == 1 then return redis.call('HGET', key, 'gen') == ARGV[2] and 1 or 0 end
store(ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8])
return 1
`
	scriptFail = `
local owner, why, unspent = ARGV[1], ARGV[2], ARGV[3] == '1'
local first, most, least, free, kept = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
if owner ~= '' and redis.call('HGET', key, 'owner') ~= owner then return 0 end
if redis.call('HEXISTS', key, 'ended') == 1 then return 0 end
local n = redis.call('HINCRBY', key, 'fails', 1) - free
local pause = least
if n > 0 then pause = math.max(pause, math.min(first * 2 ^ math.min(n - 1, 20), most)) end
redis.call('HSET', key, 'why', why, 'until', string.format('%.0f', now + pause))
redis.call('HDEL', key, 'owner', 'lease')
if unspent then redis.call('HDEL', key, 'spent') end
keep(math.ceil(pause + kept))
return 1
`
	scriptEnd = `
redis.call('DEL', key)
if tonumber(ARGV[1]) > 0 then
  redis.call('HSET', key, 'ended', '1')
  redis.call('PEXPIRE', key, ARGV[1])
end
return 1
`
)

// Load implements Store.
func (rs *Redis) Load(ctx context.Context, key string) (Record, error) {
	_, r, err := rs.view(ctx, rs.load, key)
	if errors.Is(err, errSealed) {
		r.Generation, err = "", nil // there is a record without a token
	}
	return r, wrapError("load a record", err)
}

// Claim implements Store.
func (rs *Redis) Claim(ctx context.Context, key string, c Claim) (ClaimStatus, Record, error) {
	if c.Session {
		// Renewing a session needs its refresh token. A replica that cannot decrypt it must
		// leave the claim to others that can.
		if _, _, err := rs.view(ctx, rs.load, key); err != nil {
			return Absent, Record{}, wrapError("claim a record", err)
		}
	}
	word, r, err := rs.view(ctx, rs.claim, key,
		c.Owner, c.Lease.Milliseconds(), c.Seen, c.Session, expiryMargin.Milliseconds(), failureTTL.Milliseconds())
	sealed := errors.Is(err, errSealed)
	if err != nil && (c.Session || !sealed) {
		return Absent, Record{}, wrapError("claim a record", err)
	}
	status := slices.Index([]string{Absent: "absent", Ended: "ended", Fresh: "fresh", Paused: "paused", Busy: "busy", Claimed: "claimed"}, word)
	if status < 0 {
		return Absent, Record{}, fmt.Errorf("tokencache: claim a record: its status %.20q is unknown", word)
	}
	if sealed && ClaimStatus(status) == Fresh {
		c.Seen = r.Generation // only this generation, which is useless here, is too old for the next claim
		return rs.Claim(ctx, key, c)
	}
	if sealed {
		r.Generation = ""
	}
	return ClaimStatus(status), r, nil
}

// Extend implements Store.
func (rs *Redis) Extend(ctx context.Context, key, owner string, lease time.Duration) (bool, error) {
	held, err := rs.extend.Run(ctx, rs.opts.Client, []string{rs.name(key)}, owner, lease.Milliseconds()).Bool()
	return held, wrapError("extend a claim", err)
}

// Put implements Store.
func (rs *Redis) Put(ctx context.Context, key, owner string, p Put) (bool, error) {
	return rs.write(ctx, rs.put, key, owner, p)
}

// Create implements Store.
func (rs *Redis) Create(ctx context.Context, key string, p Put) (bool, error) {
	return rs.write(ctx, rs.create, key, "", p)
}

func (rs *Redis) write(ctx context.Context, script *redis.Script, key, owner string, p Put) (bool, error) {
	now := rs.opts.Now()
	plain, err := json.Marshal(sealedToken{p.Token.Access, p.Token.Refresh})
	if err != nil {
		return false, wrapError("keep a token", err)
	}
	ends := ""
	if !p.Ends.IsZero() {
		ends = strconv.FormatInt(p.Ends.Sub(now).Milliseconds(), 10)
	}
	held, err := script.Run(ctx, rs.opts.Client, []string{rs.name(key)}, owner, p.Generation, rs.opts.Keyring.Seal(rs.name(key), plain),
		now.Sub(p.Token.Obtained).Milliseconds(), p.Token.Expires.Sub(now).Milliseconds(), p.Token.Refresh != "",
		max(1, p.TTL.Milliseconds()), ends, p.Replaces).Bool()
	return held, wrapError("keep a token", err)
}

// Fail implements Store.
func (rs *Redis) Fail(ctx context.Context, key, owner string, f Failure) (bool, error) {
	held, err := rs.fail.Run(ctx, rs.opts.Client, []string{rs.name(key)}, owner, string(f.Reason), f.Unspent,
		f.InitialPause.Milliseconds(), f.MaxPause.Milliseconds(), f.MinPause.Milliseconds(), f.FreeFailures, failureTTL.Milliseconds()).Bool()
	return held, wrapError("keep a failure", err)
}

// End implements Store.
func (rs *Redis) End(ctx context.Context, key string, keep time.Duration) error {
	return wrapError("end a session", rs.end.Run(ctx, rs.opts.Client, []string{rs.name(key)}, max(0, keep.Milliseconds())).Err())
}

func (rs *Redis) name(key string) string { return rs.opts.prefix + "{" + key + "}" }

// sealedToken is the encrypted part of a token.
type sealedToken struct {
	Access  string `json:"a"`
	Refresh string `json:"r,omitempty"`
}

// The indexes of a view's values. The first is the status of the claim.
const (
	viewGeneration = 1 + iota
	viewSealed
	viewObtained
	viewExpires
	viewSpent
	viewEnds
	viewEnded
	viewFailures
	viewReason
	viewUntil
	viewBusy
	viewLength
)

// view runs a script that returns a record. The error is errSealed, beside the record without its
// token, if that cannot be decrypted. A service account logs in then, as without a token.
func (rs *Redis) view(ctx context.Context, script *redis.Script, key string, args ...any) (string, Record, error) {
	got, err := script.Run(ctx, rs.opts.Client, []string{rs.name(key)}, args...).StringSlice()
	if err != nil {
		return "", Record{}, err
	}
	if len(got) == 1 {
		return got[0], Record{}, nil
	}
	if len(got) != viewLength {
		return "", Record{}, errors.New("the answer is no record")
	}
	now := rs.opts.Now()
	at := func(i int) time.Time {
		ms, err := strconv.ParseFloat(got[i], 64)
		if err != nil {
			return time.Time{}
		}
		return now.Add(time.Duration(ms) * time.Millisecond)
	}
	failures, _ := strconv.Atoi(got[viewFailures]) // the script's own number
	r := Record{
		Spent: got[viewSpent] == "1", Ends: at(viewEnds), Ended: got[viewEnded] != "",
		Failures: failures, Reason: Reason(got[viewReason]), Until: at(viewUntil), Busy: at(viewBusy).Sub(now),
	}
	if got[viewGeneration] == "" {
		return got[0], r, nil
	}
	r.Generation = got[viewGeneration]
	plain, err := rs.opts.Keyring.Open(rs.name(key), []byte(got[viewSealed]))
	var token sealedToken
	if err != nil || json.Unmarshal(plain, &token) != nil {
		rs.opts.Logger.ErrorContext(ctx, "a stored token cannot be decrypted: its key is not in CONSOLEQL_TOKEN_KEYS, or it was changed")
		return got[0], r, errSealed
	}
	r.Token = Token{Access: token.Access, Refresh: token.Refresh, Obtained: at(viewObtained), Expires: at(viewExpires)}
	return got[0], r, nil
}

func wrapError(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("tokencache: %s: %w", what, err)
}
