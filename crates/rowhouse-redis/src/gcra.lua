-- Counts one request against every key, or against none if one of them does not allow it. Returns for each key how long its
-- budget would have taken to be full before this request, in nanoseconds.
--
-- ARGV: 1 to count, 0 to look only; seconds and nanoseconds of the time, or nothing for this server's; then for each key
-- the time of one request and that of the whole budget, in nanoseconds.
--
-- A key holds the instant at which its budget is full, as SECONDS:NANOSECONDS: as one number it would not be exact.
local seconds, nanos = ARGV[2], ARGV[3]
if seconds == '' then
  local now = redis.call('TIME')
  seconds, nanos = now[1], now[2] * 1000
end

local owed, steps, refused = {}, {}, false
for i, key in ipairs(KEYS) do
  local full_at = redis.call('GET', key)
  owed[i], steps[i] = 0, tonumber(ARGV[2 + 2 * i])
  if full_at then
    local full_seconds, full_nanos = string.match(full_at, '^(%d+):(-?%d+)$')
    owed[i] = math.max(0, (full_seconds - seconds) * 1e9 + (full_nanos - nanos))
  end
  refused = refused or owed[i] + steps[i] > tonumber(ARGV[3 + 2 * i])
end

if ARGV[1] == '1' and not refused then
  for i, key in ipairs(KEYS) do
    local rest = owed[i] + steps[i]
    local full = nanos + rest
    local whole = math.floor(full / 1e9)
    local value = string.format('%.0f:%.0f', seconds + whole, full - whole * 1e9)
    redis.call('SET', key, value, 'PX', string.format('%.0f', math.max(1, math.ceil(rest / 1e6))))
  end
end
return owed
