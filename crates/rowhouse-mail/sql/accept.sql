-- Message, recipients and jobs at once. No row: the tenant has used the idempotency key.
with message as (
  insert into mail.messages (message_id, envelope_from, sender, subject, kind, tag, tenant, request_id, idempotency_key, mime, list, credential, tags)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $14, $15, $16)
  on conflict (coalesce(tenant, '00000000-0000-0000-0000-000000000000'), idempotency_key) do nothing
  returning id
), numbered as materialized (
  -- the id is drawn first: the job names the recipient, and the recipient its job
  select m.id as message, a.address, a.place, nextval('mail.recipients_id_seq') as id
  from message m, unnest($11::text[]) with ordinality a (address, place)
), enqueued as materialized (
  select n.*, case when not $12 then
    jobs.enqueue('mail.send', jsonb_build_object('recipient', n.id), queue => 'mail', priority => $13, tenant => $7)
  end as job
  from numbered n
)
insert into mail.recipients (id, message, address, job, state, finished_at)
overriding system value
select e.id, e.message, e.address, e.job,
  case when not $12 then 'queued'
    when $14::text is not null and exists (select from mail.suppressions s
      where s.address = lower(e.address) and s.list = $14 and s.tenant is not distinct from $7) then 'suppressed'
    else 'captured' end,
  case when $12 then clock_timestamp() end
from enqueued e
order by e.place
returning message, id, address
