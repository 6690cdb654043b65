/**
 * The Lua that runs inside Redis. Every fenced verb is one script, so that the look at the mark, the clock and the record is one
 * step. What the replies mean to the caller is `redis-fence.ts`; why a mark changes is `marks.ts`.
 *
 * KEYS[1] is the mark of the lane, KEYS[2] the record; both carry one hash tag.
 */
import { createHash } from 'node:crypto';

export interface Script {
  readonly lua: string;
  /** Names the script in EVALSHA; nothing rests on its strength. */
  readonly sha1: string;
  readonly keyCount: 1 | 2;
}

/**
 * ARGV[1] the mark known to the caller, ARGV[2] skew ms, ARGV[3] the caller's clock, unix ms.
 * The run id is read in here on purpose: a check at connection time misses commands that the client library sends on a connection
 * it opened by itself. The caller's clock counts for at most `skew`, so that one wild clock can't push everybody's horizon away.
 */
const FENCE = `
-- fence: a server process that has not been adopted (fresh, restarted, flushed, promoted) gets a new mark and so a new horizon.
local known, skew, caller = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local mark = redis.call('GET', KEYS[1])
if not mark or string.sub(mark, 1, #run) ~= run then
  local horizon = math.max(now, math.min(caller, now + skew)) + skew
  local old = mark and tonumber(string.match(mark, ':(%d+)$')) or 0
  mark = run .. ':' .. string.format('%.0f', math.max(horizon, old))
  redis.call('SET', KEYS[1], mark)
end
if mark ~= known then return {'mark', now, mark} end
`;

export const PULSE = script(1, `${FENCE}return {'ok', now, mark}`);

export const CLAIM = script(
  2,
  `${FENCE}
-- claim (after fence): ARGV[4] owner, ARGV[5] expiry, unix ms
if now >= tonumber(ARGV[5]) then return {'late', now} end
local had = redis.call('SET', KEYS[2], ARGV[4], 'NX', 'GET', 'PXAT', ARGV[5])
if not had then return {'claimed', now} end
if had == ARGV[4] then return {'mine', now} end
return {'taken', now}`,
);

export const TAKE = script(
  2,
  `${FENCE}
-- take (after fence)
return {'value', now, redis.call('GETDEL', KEYS[2])}`,
);

export const SWAP = script(
  2,
  `${FENCE}
-- swap (after fence): ARGV[4] '1' when ARGV[5] is the expected value, '0' when absence is; ARGV[6] next, ARGV[7] ttl ms, '0' for none.
-- Atomic: two devices may present one link at once.
local held = redis.call('GET', KEYS[2])
if (ARGV[4] == '0' and held) or (ARGV[4] == '1' and held ~= ARGV[5]) then return {'differs', now} end
if ARGV[7] == '0' then redis.call('SET', KEYS[2], ARGV[6]) else redis.call('SET', KEYS[2], ARGV[6], 'PX', ARGV[7]) end
return {'swapped', now}`,
);

/** Moves the horizon up on the running process: its clock has stepped, so records may have expired early. */
export const RAISE = script(
  1,
  `
-- raise: ARGV[1] skew ms, ARGV[2] the caller's clock, unix ms
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local mark = redis.call('GET', KEYS[1])
local old = mark and tonumber(string.match(mark, ':(%d+)$')) or 0
local skew = tonumber(ARGV[1])
local horizon = math.max(old, math.max(now, math.min(tonumber(ARGV[2]), now + skew)) + skew)
mark = run .. ':' .. string.format('%.0f', horizon)
redis.call('SET', KEYS[1], mark)
return {'ok', now, mark}`,
);

function script(keyCount: 1 | 2, lua: string): Script {
  return { lua, keyCount, sha1: createHash('sha1').update(lua).digest('hex') };
}
