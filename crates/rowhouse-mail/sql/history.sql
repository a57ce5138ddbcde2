-- A message, its recipients, and their history.
select jsonb_build_object(
  'id', m.id, 'message_id', m.message_id, 'created_at', m.created_at, 'envelope_from', m.envelope_from,
  'sender', m.sender, 'subject', m.subject, 'kind', m.kind, 'tag', m.tag, 'list', m.list, 'tenant', m.tenant,
  'request_id', m.request_id, 'idempotency_key', m.idempotency_key, 'size', m.size,
  'recipients', coalesce((
    select jsonb_agg(jsonb_build_object(
      'id', r.id, 'address', r.address, 'state', r.state, 'attempts', r.attempts,
      'next_attempt_at', case when r.finished_at is null then r.next_attempt_at end,
      'finished_at', r.finished_at, 'last_reply', r.last_reply,
      'events', coalesce((
        select jsonb_agg(jsonb_build_object('at', e.at, 'event', e.event, 'attempt', e.attempt, 'reply', e.reply) order by e.id)
        from mail.events e where e.recipient = r.id), '[]')) order by r.id)
    from mail.recipients r where r.message = m.id), '[]'))
from mail.messages m
where m.id = $1
