-- One call against a limit. KEYS[1]: the bucket. ARGV[1]: calls per minute, also the burst.
-- The bucket holds the "theoretical arrival time" in microseconds of the server's clock: the same for every process.
local burst = tonumber(ARGV[1])
local interval = 60000000 / burst
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local arrival = tonumber(redis.call('GET', KEYS[1])) or now
if arrival < now then arrival = now end
local next_arrival = arrival + interval
local wait = next_arrival - burst * interval - now
-- A microsecond of slack: the interval is rarely a whole number.
if wait > 1 then
  return {0, math.max(1, math.ceil(wait / 1000000))}
end
-- The default form of a number keeps 14 digits only.
redis.call('SET', KEYS[1], string.format('%.0f', next_arrival), 'PX', math.ceil((next_arrival - now) / 1000) + 1)
return {1, math.max(0, math.floor((burst * interval - (next_arrival - now)) / interval + 0.001))}
