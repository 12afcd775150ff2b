-- One failure more under each key. ARGV: for each, how many are free, the longest wait and the memory, both in seconds.
local time = redis.call('TIME')
for i, key in ipairs(KEYS) do
  local free, wait_max, memory = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local beyond = redis.call('HINCRBY', key, 'count', 1) - free
  local wait = 0
  if beyond > 0 then wait = math.min(2 ^ math.min(beyond - 1, 31), wait_max) end
  redis.call('HSET', key, 'until', string.format('%.0f', (time[1] + wait) * 1000000 + time[2]))
  redis.call('EXPIRE', key, memory)
end
