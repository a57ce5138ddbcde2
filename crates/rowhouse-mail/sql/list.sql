-- Recipients with what identifies their message, newest first.
select jsonb_build_object(
  'id', m.id, 'recipient', r.id, 'created_at', m.created_at, 'address', r.address, 'sender', m.sender,
  'subject', m.subject, 'state', r.state, 'attempts', r.attempts, 'last_reply', r.last_reply)
from mail.recipients r
join mail.messages m on m.id = r.message
where r.state = $1 or $1::text is null
order by r.id desc
limit $2
