-- `takeToken` of kernel/token_bucket.ts, with one bucket and one clock for all processes.
-- Run by redis_limiter.ts. Atomic; uses only KEYS[1]; returns { 1 or 0, parts left }.
-- A refused request also writes the bucket: after the clock goes back, it refills from that time on.
local capacity = tonumber(ARGV[1])
local parts_per_token = tonumber(ARGV[2])
local parts_per_ms = tonumber(ARGV[3])

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local stored = redis.call('HMGET', KEYS[1], 'parts', 'updated_at_ms')
local parts, updated_at_ms = tonumber(stored[1]), tonumber(stored[2])
if parts and updated_at_ms then
  local elapsed_ms = math.max(0, now_ms - updated_at_ms)
  parts = math.min(capacity, parts + elapsed_ms * parts_per_ms)
else
  parts = capacity
end

local allowed = parts >= parts_per_token
if allowed then
  parts = parts - parts_per_token
end

redis.call('HSET', KEYS[1], 'parts', parts, 'updated_at_ms', now_ms)
-- A missing bucket counts as full, so the key expires when the bucket is full.
redis.call('PEXPIRE', KEYS[1], math.ceil((capacity - parts) / parts_per_ms))
return { allowed and 1 or 0, parts }
