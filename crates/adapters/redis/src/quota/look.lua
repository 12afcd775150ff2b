-- Whether a budget of the call was refused a moment ago with less left than the call can cost. KEYS: the site's refusals, its
-- generation. ARGV: the worst case, then the budgets.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local generation = redis.call('GET', KEYS[2]) or '0'
local known = redis.call('HMGET', KEYS[1], unpack(ARGV, 2))
for i, refusal in ipairs(known) do
  if refusal then
    local left, resets_at, fresh_until = string.match(refusal, '^(%d+) (%-?%d+) (%d+)$')
    if tonumber(fresh_until) > now and tonumber(left) < tonumber(ARGV[1]) then
      return {i, left, resets_at, generation}
    end
  end
end
return {0, '0', '0', generation}
