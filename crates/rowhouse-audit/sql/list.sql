-- A page of entries, newest first, after the position ($9, $10). Without its table's name, `order by` would sort the texts of
-- the select list.
select e.id, e.occurred_at, e.source, e.action, e.actor, e.impersonator, e.operation, e.request_id, e.organization_id, e.tenant_id,
  e.target_kind, e.target_id, host(e.address) as address, e.user_agent, e.details::text as details,
  c.sequence, encode(c.hash, 'hex') as hash
from audit.entries e
left join audit.chain c on c.entry_id = e.id
where ($1::timestamptz is null or e.occurred_at >= $1)
  and ($2::timestamptz is null or e.occurred_at < $2)
  and ($3::text is null or e.actor = $3)
  and ($4::text is null or e.action = $4)
  and ($5::uuid is null or e.organization_id = $5)
  and ($6::uuid is null or e.tenant_id = $6)
  and ($7::text is null or e.target_kind = $7)
  and ($8::text is null or e.target_id = $8)
  and ($9::timestamptz is null or (e.occurred_at, e.id) < ($9, $10))
order by e.occurred_at desc, e.id desc
limit $11
