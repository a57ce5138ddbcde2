-- Message, recipients and jobs at once. No row: the idempotency key is taken.
with message as (
  insert into mail.messages (message_id, envelope_from, sender, subject, kind, tag, tenant, request_id, idempotency_key, mime)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
  on conflict on constraint messages_idempotency_key_key do nothing
  returning id
), recipients as (
  insert into mail.recipients (message, address, state, finished_at)
  select m.id, a.address, case when $12 then 'captured' else 'queued' end, case when $12 then clock_timestamp() end
  from message m, unnest($11::text[]) with ordinality a (address, place)
  order by a.place
  returning id, message, address
)
select r.message, r.id, r.address,
  case when not $12 then
    jobs.enqueue('mail.send', jsonb_build_object('recipient', r.id), queue => 'mail', tenant => $7)
  end
from recipients r
order by r.id
