-- One call on several buckets: counted on all of them or on none. KEYS: the buckets. ARGV: for each, the microseconds between
-- two calls at its limit, and its burst. A bucket holds the "theoretical arrival time" of GCRA in microseconds.
-- The clock is this server's: the same for every process, however wrong a machine's own may be.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local following, longest, refusing = {}, 0, 0
for i, key in ipairs(KEYS) do
  local interval, burst = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  following[i] = math.max(tonumber(redis.call('GET', key) or 0), now) + interval
  local wait = following[i] - now - interval * burst
  if wait > longest then longest, refusing = wait, i end
end
if refusing > 0 then return {0, refusing - 1, math.ceil(longest / 1000000)} end
local tightest, least, of = 0, 1, 0
for i, key in ipairs(KEYS) do
  local interval, burst = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local left = math.floor((now + interval * burst - following[i]) / interval)
  if of == 0 or left * of < least * burst then tightest, least, of = i, left, burst end
  -- The default form of a number keeps 14 digits only.
  redis.call('SET', key, string.format('%.0f', following[i]), 'PX', math.ceil((following[i] - now) / 1000) + 1)
end
return {1, tightest - 1, least}
