-- A new beginning, with a new job, for what has ended badly.
with again as (
  update mail.recipients r
  set state = 'queued', attempts = 0, slot_at = null, next_attempt_at = clock_timestamp(), finished_at = null
  from mail.messages m
  where m.id = r.message and m.id = $1 and r.state in ('failed', 'bounced', 'suppressed')
  returning r.id, m.tenant
)
select jobs.enqueue('mail.send', jsonb_build_object('recipient', id), queue => 'mail', tenant => tenant) from again
