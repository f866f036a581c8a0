package invalidation

import "github.com/redis/go-redis/v9"

// The replicas' common state is two keys of one slot, so that the scripts below see
// and change it as one:
//
//   - ring, a hash: the epoch (random, so that a state that was lost never looks like
//     one that was not), its version (counts invalidations), when a lease was last
//     granted (seen, on the server's clock), the server's run id, whether the epoch is
//     older than any lease of the one before it (settled), and per member of the ring
//     (m:id) the version up to which it has taken in invalidations;
//   - gens, a sorted set: of each spot the version of its last invalidation, and a
//     mark of the epoch, by which the loss of one key without the other is seen.
//
// scriptHead begins another epoch wherever it cannot be sure that no invalidation was
// lost: the state is gone, the server is another one than before (a restart may lose
// the last writes and a failover any), a member knows of more than the server does,
// or nobody has had a lease for as long as one lasts. The last makes an outage of
// Redis end with empty caches, so that an invalidation that could be told to nobody
// meanwhile is not undone by those who trust their memory again.
const scriptHead = `
local ring, gens = KEYS[1], KEYS[2]
local me, known, applied, lease, spare, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local state = redis.call('HMGET', ring, 'epoch', 'version', 'seen', 'server', 'settled')
local epoch, version, seen, settled = state[1], tonumber(state[2]), tonumber(state[3]) or now, state[5] or '0'
local info = redis.pcall('INFO', 'server')
local server = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or 'unknown'
local sound = epoch and version and state[4] == server
  and redis.call('ZSCORE', gens, 'epoch:' .. epoch)
  and not (epoch == known and applied > version)
  and math.abs(now - seen) <= lease
if not sound then
  redis.call('DEL', ring, gens)
  epoch, version, settled = spare, 0, '0'
  redis.call('HSET', ring, 'epoch', epoch, 'version', 0, 'seen', now, 'server', server)
  redis.call('ZADD', gens, 0, 'epoch:' .. epoch)
end
redis.call('PEXPIRE', ring, ttl)
redis.call('PEXPIRE', gens, ttl)
`

// scriptBeat renews the lease of a member that knows everything, and tells those who
// wait for it; a member that does not is told what it lacks, and has no lease for it.
// ARGV[7] says that the epoch is settled, ARGV[8] is the channel on which a member that
// is new says so; then come the channels of who waits. The answer ends with how many
// members there are: the state's fields but for those that are no member's.
const scriptBeat = `
if epoch ~= known or applied ~= version then
  local after = epoch == known and '(' .. applied or '(0'
  return {epoch, version, settled, 0, redis.call('ZRANGEBYSCORE', gens, after, '+inf', 'WITHSCORES')}
end
if redis.call('HSET', ring, 'm:' .. me, version) == 1 then redis.call('PUBLISH', ARGV[8], '` + hello + `' .. me) end
redis.call('HSET', ring, 'seen', now)
if ARGV[7] == '1' then
  redis.call('HSET', ring, 'settled', '1')
  settled = '1'
end
for i = 9, #ARGV do redis.call('PUBLISH', ARGV[i], epoch .. ' ' .. version .. ' ' .. me) end
return {epoch, version, settled, 1, {redis.call('HLEN', ring) - 4 - tonumber(settled)}}
`

// scriptInvalidate makes a version of the spots in ARGV[9] and later, tells it on the
// channel ARGV[7], with ARGV[8] where that is not empty, and returns the members and how
// far each is.
const scriptInvalidate = `
version = version + 1
redis.call('HSET', ring, 'version', version)
local told = epoch .. ' ' .. version .. ' ' .. me
if ARGV[8] ~= '' then told = told .. ' ' .. ARGV[8] end
for i = 9, #ARGV do
  redis.call('ZADD', gens, version, ARGV[i])
  told = told .. ' ' .. ARGV[i]
end
redis.call('PUBLISH', ARGV[7], told)
local members, all = {}, redis.call('HGETALL', ring)
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 2) == 'm:' then
    members[#members + 1] = string.sub(all[i], 3)
    members[#members + 1] = all[i + 1]
  end
end
return {epoch, version, settled, 1, members}
`

// scriptExpel takes members whose lease has run out from the ring, unless they have
// come to the version ARGV[2] of the epoch ARGV[1] meanwhile.
const scriptExpel = `
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
for i = 3, #ARGV do
  local at = tonumber(redis.call('HGET', KEYS[1], ARGV[i]))
  if at and at < tonumber(ARGV[2]) then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
return 1
`

// scriptLeave takes a member that closes from the ring. The last one to leave leaves
// a state that may rest: without members there are no invalidations to miss.
const scriptLeave = `
redis.call('HDEL', KEYS[1], ARGV[1])
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 2) == 'm:' then return 0 end
end
redis.call('HDEL', KEYS[1], 'seen')
return 1
`

// scripts are the scripts as go-redis runs them: by hash, and with their text once.
type scripts struct {
	heartbeat, invalidate, evictMember, leave *redis.Script
}

func newScripts() scripts {
	return scripts{
		heartbeat:   redis.NewScript(scriptHead + scriptBeat),
		invalidate:  redis.NewScript(scriptHead + scriptInvalidate),
		evictMember: redis.NewScript(scriptExpel),
		leave:       redis.NewScript(scriptLeave),
	}
}
