-- Cancels waiting recipients and their jobs. Returns how many.
with given_up as (
  update mail.recipients
  set state = 'failed', finished_at = clock_timestamp(), last_reply = 'cancelled by an operator'
  where message = $1 and state in ('queued', 'delayed')
  returning id, attempts, job
), recorded as (
  insert into mail.events (recipient, event, attempt, reply)
  select id, 'failed', attempts, 'cancelled by an operator' from given_up
)
select count(*), count(jobs.cancel(job)) from given_up
