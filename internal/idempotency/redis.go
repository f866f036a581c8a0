package idempotency

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// DefaultPrefix begins the names of the records in Redis.
const DefaultPrefix = "consoleql:idem:"

// Redis is the Store that replicas share. A record is a hash with an expiry. The hash tag in
// its name keeps it in one slot of Redis Cluster. Leases run on the server's clock, so that
// replicas need not agree on the time. It is safe for concurrent use.
type Redis struct {
	client               redis.UniversalClient
	prefix               string
	sealer               Sealer // nil: results are not encrypted
	claim, renew, finish *redis.Script
	replication          replicationTracker
}

// RedisOptions configures NewRedis.
type RedisOptions struct {
	// Client is a client of Redis (version 7, or a compatible server); required. Its option
	// ContextTimeoutEnabled should be set, so that commands to a hanging server end in time.
	// The caller closes it.
	Client redis.UniversalClient
	// Prefix begins the names of the records; default DefaultPrefix.
	Prefix string
	// Sealer encrypts results; nil: they are stored as they are.
	Sealer Sealer
}

// Sealer encrypts and decrypts what a record holds. A text of one record cannot be opened as
// that of another.
type Sealer interface {
	Seal(record string, plain []byte) []byte
	Open(record string, sealed []byte) ([]byte, error)
}

// NewRedis returns a Store in Redis.
func NewRedis(o RedisOptions) *Redis {
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	return &Redis{
		client: o.Client, prefix: o.Prefix, sealer: o.Sealer,
		claim:  redis.NewScript(scriptHead + scriptClaim),
		renew:  redis.NewScript(scriptHead + scriptRenew),
		finish: redis.NewScript(scriptHead + scriptFinish),
	}
}

// The scripts do the same as Memory's methods. Their arguments are owner, input, lease and
// retention (milliseconds). finish also takes the state, the result, and the sealed or packed
// result. For releases that cannot open that, the record is oversized.
const (
	scriptHead = `
local key, me, input, lease, retention = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local kept = redis.call('HMGET', key, 'state', 'owner', 'input', 'lease')
local state, owner = kept[1], kept[2]
if state == 'free' and owner ~= me then state = false end
local open = state == 'pending' or state == 'lapsed'
local function hold()
  redis.call('HSET', key, 'state', 'pending', 'owner', me, 'input', input, 'lease', now + lease)
  redis.call('PEXPIRE', key, retention)
end
-- A full Redis refuses a script that would grow it, unless that has written before: what was
-- begun is recorded to its end all the same.
local function go_on() redis.call('PEXPIRE', key, retention) end
`
	// scriptClaim also returns, for a claim that succeeded, the number of the server's
	// replicas and the server's run id.
	scriptClaim = `
local function claimed()
  hold()
  local function info(section, field)
    local all = redis.pcall('INFO', section)
    return type(all) == 'string' and string.match(all, field .. ':(%w+)') or ''
  end
  return {'claimed', info('replication', 'connected_slaves'), info('server', 'run_id')}
end
if not state then return claimed() end
if state == 'free' then return {'released'} end
if kept[3] ~= input then return {'foreign'} end
if owner == me and open then return claimed() end
if state == 'pending' and now > tonumber(kept[4]) then
  redis.call('HSET', key, 'state', 'lapsed')
  redis.call('PEXPIRE', key, retention)
  return {'lapsed'}
end
if state == 'done' then return {'done', redis.call('HGET', key, 'result')} end
if state == 'oversized' then return {state, redis.call('HGET', key, 'sealed') or nil} end
return {state}
`
	scriptRenew = `
if state and (owner ~= me or not open) then return 0 end
if state then go_on() end
hold()
return 1
`
	scriptFinish = `
local to, result, sealed = ARGV[5], ARGV[6], ARGV[7]
if state and owner ~= me then return 0 end
if state and not open then return (state == to or state == 'oversized' and to == 'done') and 1 or 0 end
if state then go_on() else hold() end
redis.call('HSET', key, 'state', to)
if to == 'done' then redis.call('HSET', key, 'result', result) end
if sealed ~= '' then redis.call('HSET', key, 'sealed', sealed) end
redis.call('PEXPIRE', key, to == 'free' and lease or retention)
return 1
`
)

// Claim implements Store.
func (rs *Redis) Claim(ctx context.Context, r Record) (Claim, error) {
	got, err := rs.claim.Run(ctx, rs.client, rs.keys(r), arguments(r)...).StringSlice()
	if err == nil && len(got) == 3 && got[0] == "claimed" {
		got, err = rs.confirm(ctx, r, got)
	}
	if err != nil {
		return Claim{}, fmt.Errorf("idempotency: claim a record: %w", err)
	}
	return rs.claimStatus(r, got)
}

// claimStatus reads the script's answer.
func (rs *Redis) claimStatus(r Record, got []string) (Claim, error) {
	if len(got) == 0 {
		return Claim{}, errors.New("idempotency: claim a record: no status in the answer")
	}
	switch got[0] {
	case "claimed":
		return Claim{Status: Claimed}, nil
	case "released":
		return Claim{Status: Released}, nil
	case "foreign":
		return Claim{Status: InputMismatch}, nil
	}
	switch state(got[0]) {
	case pending:
		return Claim{Status: Pending}, nil
	case oversized:
		if len(got) == 2 {
			if result, ok := rs.open(r, []byte(got[1])); ok {
				return Claim{Status: Done, Result: result}, nil
			}
		}
		return Claim{Status: Oversized}, nil // or of a key that this process does not have
	case leaseExpired, lost:
		return Claim{Status: Lost}, nil
	case done:
		if len(got) == 2 {
			return Claim{Status: Done, Result: []byte(got[1])}, nil
		}
	case free:
	}
	return Claim{}, fmt.Errorf("idempotency: claim a record: its status %.20q is unknown", got[0])
}

// Renew implements Store.
func (rs *Redis) Renew(ctx context.Context, r Record) (bool, error) {
	held, err := rs.renew.Run(ctx, rs.client, rs.keys(r), arguments(r)...).Bool()
	if err != nil {
		return false, fmt.Errorf("idempotency: renew a lease: %w", err)
	}
	return held, nil
}

// Finish implements Store.
func (rs *Redis) Finish(ctx context.Context, r Record, end End) (bool, error) {
	to, result, sealed := end.state(), end.Result, []byte(nil)
	switch {
	case to != done:
	case rs.sealer != nil:
		to, result, sealed = oversized, nil, rs.sealer.Seal(rs.keys(r)[0], result)
	case isPacked(result):
		to, result, sealed = oversized, nil, result
	}
	held, err := rs.finish.Run(ctx, rs.client, rs.keys(r), append(arguments(r), string(to), result, sealed)...).Bool()
	if err != nil {
		return false, fmt.Errorf("idempotency: record an outcome: %w", err)
	}
	return held, nil
}

// open returns the result that a record holds sealed, or packed and not sealed.
func (rs *Redis) open(r Record, sealed []byte) (_ []byte, ok bool) {
	if rs.sealer != nil {
		if result, err := rs.sealer.Open(rs.keys(r)[0], sealed); err == nil {
			return result, true
		}
	}
	return sealed, isPacked(sealed)
}

// keys returns the one key of a record.
func (rs *Redis) keys(r Record) []string { return []string{rs.prefix + "{" + r.ID + "}"} }

// arguments returns the arguments of all scripts. An expiry of 0 would delete a record.
func arguments(r Record) []any {
	return []any{r.Owner, r.Input, max(1, r.Lease.Milliseconds()), max(1, r.Retention.Milliseconds())}
}
