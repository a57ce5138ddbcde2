-- Letters that count against the limits, by when each was sent. Only invitations with a young newest letter have any.
with letters as (
  select i.organization_id, i.invited_by, i.email, t.sent_at
  from tenancy.invitations i, unnest(i.sent_times) t (sent_at)
  where i.sent_at > now() - interval '1 day' and (i.organization_id = $1 or i.email = $2
    or i.invited_by = current_setting('rowhouse.actor', true))
)
select
  count(*) filter (where l.organization_id = $1 and l.sent_at > now() - interval '1 hour') as by_organization,
  count(*) filter (where l.invited_by = current_setting('rowhouse.actor', true)
    and l.sent_at > now() - interval '1 hour') as by_inviter,
  count(*) filter (where l.email = $2 and l.sent_at > now() - interval '1 day') as to_recipient,
  (select count(*) from tenancy.invitations i
   where i.organization_id = $1 and tenancy.status_of(i) = 'pending') as pending
from letters l
