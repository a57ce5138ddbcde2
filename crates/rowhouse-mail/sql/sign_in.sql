-- The tenant of a valid credential. Its last use is written at most once an hour.
with good as (
  select name, tenant, last_used_at from mail.credentials where name = $1 and digest = $2 and revoked_at is null
), touched as (
  update mail.credentials c set last_used_at = clock_timestamp() from good
  where c.name = good.name and coalesce(good.last_used_at < clock_timestamp() - interval '1 hour', true)
)
select tenant from good
