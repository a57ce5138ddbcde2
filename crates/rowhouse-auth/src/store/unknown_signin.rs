//! `auth.unknown_signins`: failed sign-ins for addresses that no user has.

use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::fault::Fault;

/// The time until which sign-ins for the address are refused, if any.
pub(crate) async fn find_lock(
    client: &Client,
    address_digest: &str,
) -> Result<Option<OffsetDateTime>, Fault> {
    let sql = "select locked_until from auth.unknown_signins where address_digest = $1";
    let row = client.query_typed_opt(sql, &[(&address_digest, Type::TEXT)]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.flatten())
}

/// Counts a wrong password and locks the address until `locked_until` at the `limit`th consecutive failure, as
/// [`super::user::count_failure`] does for users.
pub(crate) async fn count_failure(
    client: &Client,
    address_digest: &str,
    limit: i32,
    locked_until: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = "with lax as (select set_config('synchronous_commit', 'off', true))
               insert into auth.unknown_signins as n (address_digest, failed_signins, locked_until, updated_at)
               select $1, case when $2 <= 1 then 0 else 1 end, case when $2 <= 1 then $3 end, $4 from lax
               on conflict (address_digest) do update
               set failed_signins = case when n.failed_signins + 1 >= $2 then 0 else n.failed_signins + 1 end,
                 locked_until = case when n.failed_signins + 1 >= $2 then $3 else n.locked_until end,
                 updated_at = $4";
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 4] = [
        (&address_digest, Type::TEXT),
        (&limit, Type::INT4),
        (&locked_until, Type::TIMESTAMPTZ),
        (&now, Type::TIMESTAMPTZ),
    ];
    client.execute_typed(sql, &parameters).await?;
    Ok(())
}
