-- Seconds until there is room for another letter, null where there is room: of the newest letters within the window the last one
-- that fills the limit has to become older than that. Only invitations with a young newest letter have any.
with letters as (
  select i.organization_id, i.invited_by, i.email, t.sent_at
  from tenancy.invitations i, unnest(i.sent_times) t (sent_at)
  where i.sent_at > now() - interval '1 day' and (i.organization_id = $1 or i.email = $2
    or i.invited_by = current_setting('rowhouse.actor', true))
), filling as (
  select
    (array_agg(l.sent_at order by l.sent_at desc) filter (
      where l.organization_id = $1 and l.sent_at > now() - interval '1 hour'))[$3] as by_organization,
    (array_agg(l.sent_at order by l.sent_at desc) filter (
      where l.invited_by = current_setting('rowhouse.actor', true) and l.sent_at > now() - interval '1 hour'))[$3] as by_inviter,
    (array_agg(l.sent_at order by l.sent_at desc) filter (
      where l.email = $2 and l.sent_at > now() - interval '1 day'))[$4] as to_recipient
  from letters l
)
select
  extract(epoch from f.by_organization + interval '1 hour' - now())::double precision as by_organization,
  extract(epoch from f.by_inviter + interval '1 hour' - now())::double precision as by_inviter,
  extract(epoch from f.to_recipient + interval '1 day' - now())::double precision as to_recipient,
  (select count(*) from tenancy.invitations i
   where i.organization_id = $1 and tenancy.status_of(i) = 'pending') as pending
from filling f
