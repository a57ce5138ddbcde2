//! How long an organization's entries are kept, where that differs from the setting.

use rowhouse_db::DbError;
use rowhouse_kernel::OrganizationId;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

/// Keeps the entries of a chain for this many days (1 to 36,500), or again for as long as the setting says. Less than
/// `audit.minimum_retention` counts as that.
///
/// # Errors
/// The database's; SQLSTATE 23514 for another number of days.
pub async fn set_retention(
    client: &Client,
    organization: OrganizationId,
    days: Option<i32>,
) -> Result<(), DbError> {
    let of: (&(dyn ToSql + Sync), Type) = (&organization.0, Type::UUID);
    match days {
        Some(days) => {
            let sql = "insert into audit.retentions (organization_id, days) values ($1, $2)
                       on conflict (organization_id) do update set days = excluded.days";
            client.execute_typed(sql, &[of, (&days, Type::INT4)]).await?;
        }
        None => {
            let sql = "delete from audit.retentions where organization_id = $1";
            client.execute_typed(sql, &[of]).await?;
        }
    }
    Ok(())
}

/// The organization's own number of days, if it has one.
///
/// # Errors
/// The database's.
pub async fn find_retention(client: &Client, organization: OrganizationId) -> Result<Option<i32>, DbError> {
    let sql = "select r.days from audit.retentions r where r.organization_id = $1";
    let row = client.query_typed_opt(sql, &[(&organization.0, Type::UUID)]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}
