-- An event as webhooks post it; the same for every retry.
select jsonb_build_object(
  'type', 'mail.' || e.event,
  'timestamp', to_char(e.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
  'data', jsonb_build_object(
    'mail', m.id, 'message_id', m.message_id, 'recipient', r.id, 'address', r.address, 'attempt', e.attempt,
    'reply', e.reply, 'kind', m.kind, 'tag', m.tag, 'list', m.list, 'tenant', m.tenant, 'idempotency_key', m.idempotency_key,
    'request_id', m.request_id)),
  m.request_id
from mail.events e
join mail.recipients r on r.id = e.recipient
join mail.messages m on m.id = r.message
where e.id = $1
