package responsecache

import "github.com/redis/go-redis/v9"

// Of one answer, KEYS[1], and the lock of its load, KEYS[2]. The server's clock
// (milliseconds) is the one by which answers in Redis age: a write that is carried out
// late, by a server that hung, still ends when it should.
const (
	scriptClock = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
`
	// scriptSeek returns what lies there and whether it is being loaded (1: by another).
	// Where nothing does, or only the load ARGV[3], of which the caller knows that it is of
	// no use, or where the caller does not want to know (ARGV[4]), it takes the lock in the
	// name of ARGV[1] if it is free (2: held by the caller).
	scriptSeek = scriptClock + `
local found = ARGV[4] == '1' and redis.call('GET', KEYS[1]) or ''
if found ~= '' and string.sub(found, 18, 25) ~= ARGV[3] then return {now, found, redis.call('EXISTS', KEYS[2])} end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {now, '', 2} end
return {now, '', 1}
`
	// scriptShare lays ARGV[3] down until ARGV[4], or removes what lies there, or does
	// neither, and gives back the lock that is ARGV[1]'s.
	scriptShare = `
if ARGV[2] == 'put' then redis.call('SET', KEYS[1], ARGV[3], 'PXAT', ARGV[4])
elseif ARGV[2] == 'remove' then redis.call('DEL', KEYS[1]) end
if ARGV[1] ~= '' and redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return 1
`
)

// scripts are the scripts as go-redis runs them: by hash, and with their text once.
type scripts struct{ getOrLock, share *redis.Script }

func newScripts() scripts {
	return scripts{getOrLock: redis.NewScript(scriptSeek), share: redis.NewScript(scriptShare)}
}
