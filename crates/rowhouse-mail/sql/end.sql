-- A recipient's final state, in one statement: its state, its history and, for a bounce, the address's suppression.
with ended as (
  update mail.recipients set state = $2, finished_at = clock_timestamp(), last_reply = $3
  where id = $1 and finished_at is null
  returning id, address
), suppressed as (
  insert into mail.suppressions as s (address, reason, detail, expires_at)
  select lower(address), 'bounce', $3, clock_timestamp() + make_interval(secs => $5) from ended where $2 = 'bounced'
  on conflict on constraint suppressions_address_reason_list_tenant_key do update set detail = excluded.detail, expires_at = excluded.expires_at
)
insert into mail.events (recipient, event, attempt, reply) select id, $2, $4, $3 from ended
