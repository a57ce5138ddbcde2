-- Messages whose recipients all have a final state, the last of them older than the retention.
delete from mail.messages
where id in (
  select m.id
  from mail.messages m
  where m.created_at < clock_timestamp() - make_interval(secs => $1)
    and not exists (
      select from mail.recipients r
      where r.message = m.id
        and (r.finished_at is null or r.finished_at >= clock_timestamp() - make_interval(secs => $1))
    )
  order by m.created_at
  limit $2
)
