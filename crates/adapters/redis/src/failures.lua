-- For each key: how many failures, and how many seconds to wait.
local time = redis.call('TIME')
local known = {}
for i, key in ipairs(KEYS) do
  local row = redis.call('HMGET', key, 'count', 'until')
  local wait = tonumber(row[2] or 0) - time[1] * 1000000 - time[2]
  known[i] = {tonumber(row[1] or 0), math.max(0, math.ceil(wait / 1000000))}
end
return known
