package responsecache

import "github.com/redis/go-redis/v9"

// The scripts use two keys of an entry: its value, KEYS[1], and the lock of its load, KEYS[2].
// The server's clock (milliseconds) determines when an entry expires. So an entry expires in
// time even if a server that hung writes it late.
const (
	scriptClock = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
`
	// scriptGetOrLock returns the entry, and whether it is being loaded (1: by another
	// replica). It takes the lock in the name of ARGV[1], if that is free (2), in three cases.
	// There is no entry. The entry is that of the load ARGV[3], which the caller cannot use.
	// Or ARGV[4] is not 1: the caller wants no entry.
	scriptGetOrLock = scriptClock + `
local found = ARGV[4] == '1' and redis.call('GET', KEYS[1]) or ''
if found ~= '' and string.sub(found, 18, 25) ~= ARGV[3] then return {now, found, redis.call('EXISTS', KEYS[2])} end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {now, '', 2} end
return {now, '', 1}
`
	// scriptShare writes ARGV[3] until ARGV[4], or removes the entry, or does neither. Then it
	// releases the lock if that is ARGV[1]'s.
	scriptShare = `
if ARGV[2] == 'put' then redis.call('SET', KEYS[1], ARGV[3], 'PXAT', ARGV[4])
elseif ARGV[2] == 'remove' then redis.call('DEL', KEYS[1]) end
if ARGV[1] ~= '' and redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return 1
`
)

// scripts holds the scripts. go-redis sends a script's text once, and then its hash.
type scripts struct{ getOrLock, share *redis.Script }

func newScripts() scripts {
	return scripts{getOrLock: redis.NewScript(scriptGetOrLock), share: redis.NewScript(scriptShare)}
}
