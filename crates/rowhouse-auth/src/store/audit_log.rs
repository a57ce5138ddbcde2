//! `auth.audit_log_entries`: the audit log of accounts, as administrators read it.

use rowhouse_db::DbError;
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::serde::rfc3339;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::fault::Fault;

/// Which entries: those that contain each text, in any case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// In the name or the address of who did it.
    pub(crate) author: Option<String>,
    pub(crate) action: Option<String>,
    pub(crate) log_type: Option<String>,
}

/// An entry in GoTrue's shape.
#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    id: Uuid,
    payload: Value,
    #[serde(serialize_with = "rfc3339::serialize")]
    created_at: OffsetDateTime,
    ip_address: String,
}

/// Writes the statements that list and count from one condition. An author is found by what the entry has, and by the
/// address, number and name of the account as they are now: entries do not keep those of whoever acts on their own account.
macro_rules! select_entries {
    ($what:literal, $rest:literal) => {
        concat!(
            "select ",
            $what,
            " from auth.audit_log_entries e
              where ($1::text is null or $1 = '' or strpos(lower(e.payload ->> 'actor_username'), lower($1)) > 0
                  or e.payload ->> 'actor_id' in (
                    select u.id::text from auth.users u
                    where strpos(lower(u.email), lower($1)) > 0 or strpos(u.phone, $1) > 0
                      or strpos(lower(u.raw_user_meta_data ->> 'full_name'), lower($1)) > 0))
                and ($2::text is null or strpos(lower(e.payload ->> 'action'), lower($2)) > 0)
                and ($3::text is null or strpos(lower(e.payload ->> 'log_type'), lower($3)) > 0) ",
            $rest
        )
    };
}

/// One page of entries, newest first, and the number of all.
pub(crate) async fn list(
    client: &Client,
    filter: &Filter,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Entry>, i64), Fault> {
    let condition: [(&(dyn ToSql + Sync), Type); 3] =
        [(&filter.author, Type::TEXT), (&filter.action, Type::TEXT), (&filter.log_type, Type::TEXT)];
    let page = select_entries!(
        "e.id, e.payload::jsonb as payload, e.created_at, e.ip_address::text as ip_address",
        "order by e.created_at desc, e.id desc limit $4 offset $5"
    );
    let mut parameters = condition.to_vec();
    parameters.extend([(&limit as &(dyn ToSql + Sync), Type::INT8), (&offset, Type::INT8)]);
    let rows = client.query_typed(page, &parameters).await?;
    let entries = rows.iter().map(Entry::from_row).collect::<Result<_, _>>()?;
    let total = client.query_typed_one(select_entries!("count(*)", ""), &condition).await?.try_get(0)?;
    Ok((entries, total))
}

impl Entry {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.try_get("id")?,
            payload: row.try_get("payload")?,
            created_at: row.try_get("created_at")?,
            ip_address: row.try_get("ip_address")?,
        })
    }
}
