//! The sessions of a user as they are listed, and the end of one of them.

use std::net::IpAddr;

use serde::Serialize;
use time::OffsetDateTime;
use time::serde::rfc3339;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::fault::Fault;
use crate::method::Amr;

/// A session as its user and administrators see it.
#[derive(Debug, Serialize)]
pub(crate) struct SessionInfo {
    pub(crate) id: Uuid,
    #[serde(with = "rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "rfc3339")]
    last_used_at: OffsetDateTime,
    #[serde(with = "rfc3339::option")]
    not_after: Option<OffsetDateTime>,
    aal: String,
    amr: Vec<Amr>,
    tenant_id: Option<Uuid>,
    /// The application whose session it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    oauth_client_id: Option<Uuid>,
    user_agent: Option<String>,
    ip: Option<IpAddr>,
    /// Whether the request came from it.
    pub(crate) is_current: bool,
}

impl SessionInfo {
    fn from_row(row: &Row) -> Result<Self, Fault> {
        Ok(Self {
            id: row.try_get("id")?,
            created_at: row.try_get("created_at")?,
            last_used_at: row.try_get("last_used_at")?,
            not_after: row.try_get("not_after")?,
            aal: row.try_get("aal")?,
            amr: serde_json::from_value(row.try_get("amr")?).map_err(Fault::Json)?,
            tenant_id: row.try_get("tenant_id")?,
            oauth_client_id: row.try_get("oauth_client_id")?,
            user_agent: row.try_get("user_agent")?,
            ip: row.try_get("ip")?,
            is_current: false,
        })
    }
}

/// Sessions of `user` that are not over, the last used first; `limit` at most.
pub(crate) async fn list(
    client: &Client,
    user: Uuid,
    limit: u32,
    now: OffsetDateTime,
) -> Result<Vec<SessionInfo>, Fault> {
    let sql = "select id, coalesce(created_at, $2) as created_at, coalesce(refreshed_at, created_at, $2) as last_used_at,
                 nullif(not_after, 'infinity') as not_after, coalesce(aal, 'aal1')::text as aal, auth.amr_of(id) as amr,
                 tenant_id, oauth_client_id, user_agent, ip
               from auth.sessions
               where user_id = $1 and (not_after is null or not_after > $2)
               order by last_used_at desc, id limit $3";
    let limit = i64::from(limit);
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&user, Type::UUID), (&now, Type::TIMESTAMPTZ), (&limit, Type::INT8)];
    let rows = client.query_typed(sql, &parameters).await?;
    rows.iter().map(SessionInfo::from_row).collect()
}

/// Deletes one session of `user`, unless it is over. False if there is none.
pub(crate) async fn end(
    client: &Client,
    user: Uuid,
    session: Uuid,
    now: OffsetDateTime,
) -> Result<bool, Fault> {
    let sql = "delete from auth.sessions
               where id = $1 and user_id = $2 and (not_after is null or not_after > $3)";
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&session, Type::UUID), (&user, Type::UUID), (&now, Type::TIMESTAMPTZ)];
    Ok(client.execute_typed(sql, &parameters).await? == 1)
}
