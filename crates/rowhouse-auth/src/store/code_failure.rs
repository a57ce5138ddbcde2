//! `auth.code_failures`: wrong codes for an address or number across letters and messages.

use time::{Duration, OffsetDateTime};
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use crate::fault::Fault;

/// How long wrong codes are remembered from the first of them on.
const REMEMBERED: Duration = Duration::DAY;
/// Addresses forgotten with one attempt, so that the table shrinks faster than it grows.
const FORGOTTEN: i64 = 4;

/// Counts an attempt and returns how many there were of late. Attempts for one address wait for each other.
pub(crate) async fn count(client: &Client, digest: &str, now: OffsetDateTime) -> Result<i32, Fault> {
    let sql = "with forgotten as (
                 delete from auth.code_failures where address_digest = any (array(
                   select f.address_digest from auth.code_failures f
                   where f.since <= $3 and f.address_digest <> $1 limit $4 for update skip locked))
               )
               insert into auth.code_failures as f (address_digest, failures, since) values ($1, 1, $2)
               on conflict (address_digest) do update set
                 failures = case when f.since > $3 then least(f.failures + 1, 1000000) else 1 end,
                 since = case when f.since > $3 then f.since else excluded.since end
               returning f.failures";
    let oldest = now - REMEMBERED;
    let parameters: [(&(dyn ToSql + Sync), Type); 4] = [
        (&digest, Type::TEXT),
        (&now, Type::TIMESTAMPTZ),
        (&oldest, Type::TIMESTAMPTZ),
        (&FORGOTTEN, Type::INT8),
    ];
    Ok(client.query_typed_one(sql, &parameters).await?.try_get(0)?)
}

/// Forgets them: the owner has shown a right code.
pub(crate) async fn forget(client: &Client, digest: &str) -> Result<(), Fault> {
    let sql = "delete from auth.code_failures where address_digest = $1";
    client.execute_typed(sql, &[(&digest, Type::TEXT)]).await?;
    Ok(())
}
