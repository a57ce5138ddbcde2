-- Schedules another attempt. While the relay is unreachable, one event is kept, so that the history stays readable.
with delayed as (
  update mail.recipients
  set state = 'delayed', last_reply = $2, attempts = attempts - case when $4 then 0 else 1 end,
    next_attempt_at = clock_timestamp() + make_interval(secs => $3)
  where id = $1 and finished_at is null
  returning id
)
insert into mail.events (recipient, event, attempt, reply)
select d.id, 'delayed', $5, $2 from delayed d
where $4 or not exists (select from mail.events e where e.recipient = d.id and e.reply = $2)
