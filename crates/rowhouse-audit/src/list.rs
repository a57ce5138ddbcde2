//! Reading entries in pages, newest first.

use rowhouse_db::DbError;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use crate::filter::Filter;
use crate::record::{Position, Record};

/// At most `limit` entries after a position. Entries never change, so that pages neither repeat nor skip one that was
/// there when the first was read; what has been written since is newer, unless its transaction took long.
///
/// # Errors
/// The database's.
pub async fn list(
    client: &Client,
    filter: &Filter,
    after: Option<&Position>,
    limit: u32,
) -> Result<Vec<Record>, DbError> {
    let (organization, tenant) = (filter.organization.map(|id| id.0), filter.tenant.map(|id| id.0));
    let (at, id) = (after.map(|after| after.occurred_at), after.map(|after| after.id));
    let limit = i64::from(limit);
    let parameters: [(&(dyn ToSql + Sync), Type); 11] = [
        (&filter.since, Type::TIMESTAMPTZ),
        (&filter.until, Type::TIMESTAMPTZ),
        (&filter.actor, Type::TEXT),
        (&filter.action, Type::TEXT),
        (&organization, Type::UUID),
        (&tenant, Type::UUID),
        (&filter.target_kind, Type::TEXT),
        (&filter.target_id, Type::TEXT),
        (&at, Type::TIMESTAMPTZ),
        (&id, Type::UUID),
        (&limit, Type::INT8),
    ];
    let rows = client.query_typed(include_str!("../sql/list.sql"), &parameters).await?;
    rows.iter().map(Record::from_row).collect()
}
