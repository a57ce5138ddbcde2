-- Seconds until there is room for another letter, null where there is room: of the newest letters within a day the last one that
-- fills the limit has to become older than that. Of those who ask, only users are counted; keys are of one organization.
with letters as (
  select c.id, c.name, c.organization_id, c.asked_by, l.at
  from domains.claims c, unnest(c.letters) l (at)
  where l.at > clock_timestamp() - interval '1 day' and (c.name = $2 or c.organization_id = $3
    or c.asked_by = substring(current_setting('rowhouse.actor', true) from '^[0-9a-f-]{36}$'))
), filling as (
  select
    (array_agg(l.at order by l.at desc) filter (where l.name = $2))[$4] as to_name,
    (array_agg(l.at order by l.at desc) filter (where l.organization_id = $3))[$5] as by_organization,
    (array_agg(l.at order by l.at desc) filter (
      where l.asked_by = substring(current_setting('rowhouse.actor', true) from '^[0-9a-f-]{36}$')))[$5] as by_user,
    max(l.at) filter (where l.id = $1 and l.at > clock_timestamp() - interval '1 minute') as of_claim
  from letters l
)
select
  extract(epoch from f.to_name + interval '1 day' - clock_timestamp())::double precision as to_name,
  extract(epoch from f.by_organization + interval '1 day' - clock_timestamp())::double precision as by_organization,
  extract(epoch from f.by_user + interval '1 day' - clock_timestamp())::double precision as by_user,
  extract(epoch from f.of_claim + interval '1 minute' - clock_timestamp())::double precision as of_claim
from filling f
