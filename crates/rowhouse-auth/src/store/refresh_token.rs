//! `auth.refresh_tokens`: digests only.

use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::fault::Fault;
use crate::rotation::{Active, Presented};

/// The presented token and its session's active one. Read after the session is locked.
pub(crate) async fn find(
    client: &Client,
    session: Uuid,
    digest: &str,
) -> Result<(Option<Presented>, Option<Active>), Fault> {
    let sql = "select token, coalesce(revoked, false) as revoked, coalesce(updated_at, created_at, now()) as updated_at, parent
               from auth.refresh_tokens
               where session_id = $1 and (token = $2 or revoked is not true)
               order by id desc";
    let rows = client.query_typed(sql, &[(&session, Type::UUID), (&digest, Type::TEXT)]).await?;
    let (mut presented, mut active) = (None, None);
    for row in &rows {
        let token: String = row.try_get("token")?;
        let revoked: bool = row.try_get("revoked")?;
        if token == digest {
            presented =
                Some(Presented { digest: token.clone(), revoked, updated_at: row.try_get("updated_at")? });
        }
        if !revoked && active.is_none() {
            active = Some(Active { digest: token, parent: row.try_get("parent")? });
        }
    }
    Ok((presented, active))
}

/// The active token of a locked session.
pub(crate) async fn find_active(client: &Client, session: Uuid) -> Result<Option<Active>, Fault> {
    Ok(find(client, session, "").await?.1)
}

/// Revokes the active token and inserts its successor.
pub(crate) async fn replace(
    client: &Client,
    session: Uuid,
    user: Uuid,
    parent: &str,
    successor: &str,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = "with spent as (
                 update auth.refresh_tokens set revoked = true, updated_at = $5 where session_id = $1 and revoked is not true
               )
               insert into auth.refresh_tokens (token, user_id, revoked, parent, created_at, updated_at, session_id)
               values ($4, $2::text, false, $3, $5, $5, $1)";
    client
        .execute_typed(
            sql,
            &[
                (&session, Type::UUID),
                (&user, Type::UUID),
                (&parent, Type::TEXT),
                (&successor, Type::TEXT),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(())
}
