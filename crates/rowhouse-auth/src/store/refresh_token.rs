//! `auth.refresh_tokens`: tokens of before the counter, read to be exchanged once. Nothing is added.

use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::fault::Fault;
use crate::rotation::{Newest, Presented};

/// The presented token, stored in one of these forms, and its session's newest one. Read after the session is locked.
pub(crate) async fn find(
    client: &Client,
    session: Uuid,
    forms: &[&str],
) -> Result<Option<(Presented, Newest)>, Fault> {
    let sql = "select p.token, coalesce(p.updated_at, p.created_at, now()) as updated_at,
                 n.token as newest, nullif(n.parent, '') as parent, coalesce(n.revoked, false) as revoked
               from auth.refresh_tokens p
               cross join lateral (
                 select t.token, t.parent, t.revoked from auth.refresh_tokens t where t.session_id = $1 order by t.id desc limit 1
               ) n
               where p.session_id = $1 and p.token = any ($2)
               limit 1";
    let row = client.query_typed_opt(sql, &[(&session, Type::UUID), (&forms, Type::TEXT_ARRAY)]).await?;
    row.map(|row| {
        let presented = Presented { token: row.try_get("token")?, updated_at: row.try_get("updated_at")? };
        let newest = Newest {
            token: row.try_get("newest")?,
            parent: row.try_get("parent")?,
            revoked: row.try_get("revoked")?,
        };
        Ok((presented, newest))
    })
    .transpose()
}
