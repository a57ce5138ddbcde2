-- Retries recipients that failed, bounced or were suppressed, with new jobs. Returns how many.
with again as materialized (
  select r.id, jobs.enqueue('mail.send', jsonb_build_object('recipient', r.id), queue => 'mail', tenant => m.tenant) as job
  from mail.recipients r
  join mail.messages m on m.id = r.message
  where m.id = $1 and r.state in ('failed', 'bounced', 'suppressed')
  for update of r
)
update mail.recipients r
set state = 'queued', attempts = 0, slot_at = null, next_attempt_at = clock_timestamp(), finished_at = null, job = a.job
from again a
where r.id = a.id
