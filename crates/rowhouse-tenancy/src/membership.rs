//! The tenants that a user is a member of. Leaves what a member may do there to `permission`, and sessions to
//! `rowhouse-auth`.

use rowhouse_db::DbError;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

/// An active membership in an open tenant of an open organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The tenant.
    pub tenant_id: Uuid,
    /// The organization that the tenant belongs to.
    pub organization_id: Uuid,
    /// The role in the tenant.
    pub role: String,
}

impl Membership {
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            tenant_id: row.try_get("tenant_id")?,
            organization_id: row.try_get("organization_id")?,
            role: row.try_get("role")?,
        })
    }
}

macro_rules! select_open {
    ($rest:literal) => {
        concat!(
            "select m.tenant_id, t.organization_id, m.role
             from tenancy.memberships m
             join tenancy.tenants t on t.id = m.tenant_id and t.is_open
             join tenancy.organizations o on o.id = t.organization_id and o.is_open
             where m.user_id = $1 and m.is_active ",
            $rest
        )
    };
}

/// The user's active membership in `tenant`, if any.
///
/// # Errors
/// The database's.
pub async fn find(client: &Client, user: Uuid, tenant: Uuid) -> Result<Option<Membership>, DbError> {
    let sql = select_open!("and m.tenant_id = $2");
    let row = client.query_typed_opt(sql, &[(&user, Type::UUID), (&tenant, Type::UUID)]).await?;
    Ok(row.as_ref().map(Membership::from_row).transpose()?)
}

/// The membership in the session's tenant, else the oldest active one: a user who was removed from one tenant
/// continues in another at the next refresh.
///
/// # Errors
/// The database's.
pub async fn find_or_default(
    client: &Client,
    user: Uuid,
    tenant: Option<Uuid>,
) -> Result<Option<Membership>, DbError> {
    let sql =
        select_open!("order by m.tenant_id is not distinct from $2 desc, m.created_at, m.tenant_id limit 1");
    let row = client.query_typed_opt(sql, &[(&user, Type::UUID), (&tenant, Type::UUID)]).await?;
    Ok(row.as_ref().map(Membership::from_row).transpose()?)
}

/// The user's active memberships, two at most, in tenants of this id or slug; slugs are unique within an
/// organization.
///
/// # Errors
/// The database's.
pub async fn list_named(client: &Client, user: Uuid, tenant: &str) -> Result<Vec<Membership>, DbError> {
    let sql = select_open!("and (t.slug = $2 or t.id::text = lower($2)) limit 2");
    let rows = client.query_typed(sql, &[(&user, Type::UUID), (&tenant, Type::TEXT)]).await?;
    Ok(rows.iter().map(Membership::from_row).collect::<Result<_, _>>()?)
}
