-- Every transaction below the snapshot's xmin has ended, so that no event can still be added before those returned.
-- Without its table's name, `order by txid` would sort the text of the select list, where 1000 comes before 999.
select o.id, o.txid::text, o.kind, o.tenant_id, o.payload, o.created_at, o.actor, o.request_id
from events.outbox o
where (o.txid, o.id) > ($1::xid8, $2) and o.txid < pg_snapshot_xmin(pg_current_snapshot())
order by o.txid, o.id
limit $3
