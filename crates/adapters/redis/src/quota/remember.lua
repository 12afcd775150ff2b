-- Remembers a refusal, unless something went back to the site's budgets since the generation was read. KEYS: the site's refusals,
-- its generation. ARGV: the budget, what is left of it, when it resets, the generation, and for how many milliseconds.
if (redis.call('GET', KEYS[2]) or '0') ~= ARGV[4] then return 0 end
local time = redis.call('TIME')
local fresh_until = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[5])
redis.call('HSET', KEYS[1], ARGV[1], string.format('%s %s %.0f', ARGV[2], ARGV[3], fresh_until))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
