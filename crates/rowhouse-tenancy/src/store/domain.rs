//! `tenancy.organization_domains`: organizations that a user can join by the domain of his address.

use rowhouse_db::DbError;
use rowhouse_kernel::OrganizationId;
use schemars::JsonSchema;
use serde::Serialize;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

/// An organization that can be joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Joinable {
    pub(crate) organization_id: Uuid,
    pub(crate) name: String,
    /// The domain of the user's address.
    pub(crate) domain: String,
    /// The role that he gets.
    pub(crate) role: String,
}

impl Joinable {
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            organization_id: row.try_get("organization_id")?,
            name: row.try_get("name")?,
            domain: row.try_get("domain")?,
            role: row.try_get("role")?,
        })
    }
}

/// All of them: one at most, since a domain is verified by one organization at a time.
pub(crate) async fn list_joinable(client: &Client, user: Uuid) -> Result<Vec<Joinable>, DbError> {
    let sql = "select organization_id, name, domain, role from tenancy.joinable_by($1)";
    let rows = client.query_typed(sql, &[(&user, Type::UUID)]).await?;
    Ok(rows.iter().map(Joinable::from_row).collect::<Result<_, _>>()?)
}

/// This organization, if the user can join it.
pub(crate) async fn find_joinable(
    client: &Client,
    user: Uuid,
    organization: OrganizationId,
) -> Result<Option<Joinable>, DbError> {
    let all = list_joinable(client, user).await?;
    Ok(all.into_iter().find(|one| one.organization_id == organization.0))
}
