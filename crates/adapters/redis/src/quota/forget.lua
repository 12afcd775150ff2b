-- Something went back to the site's budgets. KEYS: the site's refusals, its generation. ARGV: for how many seconds a generation is
-- kept: far longer than any refusal is on its way.
redis.call('DEL', KEYS[1])
redis.call('INCR', KEYS[2])
redis.call('EXPIRE', KEYS[2], ARGV[1])
return 1
