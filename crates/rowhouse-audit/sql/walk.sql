-- Checks at most $4 links after ($1, $2), of the chain $5 or of all. Each is held against the stored hash before it, so that
-- one change is one finding; for the first of a page that is $3, if its chain goes on here. Returns the links with a
-- problem, and the last one, with the numbers of links and of chains that begin.
with page as (
  select c.organization_id, c.sequence, c.entry_id, c.hash
  from audit.chain c
  where (c.organization_id, c.sequence) > ($1, $2) and ($5::uuid is null or c.organization_id = $5)
  order by c.organization_id, c.sequence
  limit $4
), placed as (
  select p.*, lag(p.sequence) over in_chain as lag_sequence, lag(p.hash) over in_chain as lag_hash,
    $3::bytea is not null and p.organization_id = $1 as goes_on,
    row_number() over (order by p.organization_id, p.sequence) as place
  from page p
  window in_chain as (partition by p.organization_id order by p.sequence)
), counted as (
  select p.*, count(*) over () as links,
    count(*) filter (where p.lag_sequence is null and not p.goes_on) over () as chains
  from placed p
), judged as (
  select p.organization_id, p.sequence, p.entry_id, p.hash, b.sequence as before, p.links, p.chains,
    p.place = p.links as is_last,
    case
      when p.sequence <> b.sequence + 1 then 'links_missing'
      when e.id is null then 'entry_missing'
      when coalesce(e.organization_id, '00000000-0000-0000-0000-000000000000') <> p.organization_id
        or audit.link_hash(b.hash, p.organization_id, p.sequence, audit.digest(e)) <> p.hash then 'entry_changed'
    end as problem
  from counted p
  left join audit.entries e on e.id = p.entry_id
  left join audit.checkpoints k on k.organization_id = p.organization_id
  cross join lateral (select
    case when p.lag_sequence is not null then p.lag_sequence when p.goes_on then $2 else coalesce(k.sequence, 0) end as sequence,
    case when p.lag_hash is not null then p.lag_hash when p.goes_on then $3
      else coalesce(k.hash, decode(repeat('00', 32), 'hex')) end as hash) b
)
select organization_id, sequence, entry_id, hash, before, problem, links, chains
from judged
where problem is not null or is_last
order by organization_id, sequence
