-- Every transaction below the snapshot's xmin has ended, so that no event can still come to stand before those given here.
select id, txid::text, kind, tenant_id, payload, created_at, actor, request_id
from events.outbox
where (txid, id) > ($1::xid8, $2) and txid < pg_snapshot_xmin(pg_current_snapshot())
order by txid, id
limit $3
