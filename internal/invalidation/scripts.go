package invalidation

import "github.com/redis/go-redis/v9"

// The replicas' common state is three keys of one Redis Cluster slot, so that a script sees and
// changes them together:
//
//   - ring, a hash. epoch is random, so that a lost state is never mistaken for the present
//     one. version counts invalidations. seen is when a lease was last granted, by the
//     server's clock. server is the server's run id. settled says that no lease of the epoch
//     before can still run. m:<id> is the version that a member has applied.
//   - gens, a sorted set: the version of each slot's last invalidation, and a mark of the
//     epoch. The mark shows the loss of one key without the other.
//   - uncertain, a hash: for a slot whose last invalidation is Uncertain the epoch, the version,
//     and the version of the last one that is not. Without it, a slot counts as invalidated for
//     certain.
//
// scriptHead begins a new epoch unless it is sure that no invalidation was lost. It is not
// sure in these cases. The state is gone. The server is another one (a restart may lose the
// last writes, and a failover any). A member knows more than the server. No lease was granted
// for the time of one. So all caches are empty after an outage of Redis: an invalidation that
// reached no replica meanwhile is not undone.
const scriptHead = `
local ring, gens, uncertain = KEYS[1], KEYS[2], KEYS[3]
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
local function certain(slot, at)
  local words = {}
  for word in string.gmatch(redis.call('HGET', uncertain, slot) or '', '%S+') do words[#words + 1] = word end
  if words[1] == epoch and tonumber(words[2]) == tonumber(at) then return words[3] end
end
`

// scriptHeartbeat renews the lease of a member that knows every invalidation, and acknowledges
// to the waiting replicas. Another member gets what it lacks, and no lease: slots with versions,
// and with the version of the last invalidation that is not Uncertain, if the last one is. ARGV[7] says that
// the epoch is settled. A new member announces itself on the channel ARGV[8]. The channels of
// the waiting replicas follow. The answer ends with the number of members: the fields of the
// state without those that are no member's.
const scriptHeartbeat = `
if epoch ~= known or applied ~= version then
  local after = epoch == known and '(' .. applied or '(0'
  local changed = redis.call('ZRANGEBYSCORE', gens, after, '+inf', 'WITHSCORES')
  if redis.call('EXISTS', uncertain) == 1 then
    for i = 1, #changed, 2 do
      local last = certain(changed[i], changed[i + 1])
      if last then changed[i + 1] = changed[i + 1] .. ' ' .. last end
    end
  end
  return {epoch, version, settled, 0, changed}
end
if redis.call('HSET', ring, 'm:' .. me, version) == 1 then redis.call('PUBLISH', ARGV[8], '` + helloMessage + `' .. me) end
redis.call('HSET', ring, 'seen', now)
if ARGV[7] == '1' then
  redis.call('HSET', ring, 'settled', '1')
  settled = '1'
end
for i = 9, #ARGV do redis.call('PUBLISH', ARGV[i], epoch .. ' ' .. version .. ' ' .. me) end
return {epoch, version, settled, 1, {redis.call('HLEN', ring) - 4 - tonumber(settled)}}
`

// scriptInvalidate makes a version of the slots in ARGV[9] and later. It publishes it on the
// channel ARGV[7], with ARGV[8] if that is not empty. It returns the members with their
// versions.
const scriptInvalidate = `
version = version + 1
redis.call('HSET', ring, 'version', version)
local message = epoch .. ' ' .. version .. ' ' .. me
if ARGV[8] ~= '' then message = message .. ' ' .. ARGV[8] end
for i = 9, #ARGV do
  if ARGV[8] == '` + uncertainMark + `' then
    local before = redis.call('ZSCORE', gens, ARGV[i]) or '0'
    redis.call('HSET', uncertain, ARGV[i], epoch .. ' ' .. version .. ' ' .. (certain(ARGV[i], before) or before))
    redis.call('PEXPIRE', uncertain, ttl)
  end
  redis.call('ZADD', gens, version, ARGV[i])
  message = message .. ' ' .. ARGV[i]
end
redis.call('PUBLISH', ARGV[7], message)
local members, all = {}, redis.call('HGETALL', ring)
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 2) == 'm:' then
    members[#members + 1] = string.sub(all[i], 3)
    members[#members + 1] = all[i + 1]
  end
end
return {epoch, version, settled, 1, members}
`

// scriptEvict removes members whose lease has run out, unless they have reached the version
// ARGV[2] of the epoch ARGV[1] meanwhile.
const scriptEvict = `
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
for i = 3, #ARGV do
  local at = tonumber(redis.call('HGET', KEYS[1], ARGV[i]))
  if at and at < tonumber(ARGV[2]) then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
return 1
`

// scriptLeave removes a member that closes. After the last one the state may rest: without
// members there are no invalidations to miss.
const scriptLeave = `
redis.call('HDEL', KEYS[1], ARGV[1])
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 2) == 'm:' then return 0 end
end
redis.call('HDEL', KEYS[1], 'seen')
return 1
`

// scripts holds the scripts. go-redis sends a script's text once, and then its hash.
type scripts struct {
	heartbeat, invalidate, evictMembers, leave *redis.Script
}

func newScripts() scripts {
	return scripts{
		heartbeat:    redis.NewScript(scriptHead + scriptHeartbeat),
		invalidate:   redis.NewScript(scriptHead + scriptInvalidate),
		evictMembers: redis.NewScript(scriptEvict),
		leave:        redis.NewScript(scriptLeave),
	}
}
