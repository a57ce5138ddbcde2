//! Members of an organization or a tenant: `tenancy.organization_members` and `tenancy.memberships`, which look alike.

use rowhouse_db::DbError;
use rowhouse_kernel::{OrganizationId, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::Bound;

/// The role that has every permission and makes others owners.
pub(crate) const OWNER: &str = "owner";

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Member {
    pub(crate) user_id: Uuid,
    pub(crate) email: Option<String>,
    /// From the profile.
    pub(crate) full_name: Option<String>,
    /// `owner`, `admin`, `manager`, `member`, or a role of the organization's own.
    pub(crate) role: String,
    /// `active` or `suspended`.
    pub(crate) status: String,
    /// When the membership began.
    #[schemars(extend("format" = "date-time"))]
    pub(crate) created_at: String,
}

/// Whether a member may do anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MemberStatus {
    /// As the role says.
    Active,
    /// Nothing.
    Suspended,
}

impl MemberStatus {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }
}

/// An organization or a tenant, as what has members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group {
    /// The organization itself, or the tenant's.
    pub(crate) organization: OrganizationId,
    /// The tenant, if it is one.
    pub(crate) tenant: Option<TenantId>,
}

impl Group {
    /// What a permission of a member is looked up by.
    pub(crate) fn ids(self) -> (Uuid, Option<Uuid>) {
        (self.organization.0, self.tenant.map(|tenant| tenant.0))
    }

    fn id(self) -> Uuid {
        self.tenant.map_or(self.organization.0, |tenant| tenant.0)
    }

    /// The table of its members and the column that names it.
    const fn table(self) -> (&'static str, &'static str) {
        match self.tenant {
            Some(_) => ("tenancy.memberships", "tenant_id"),
            None => ("tenancy.organization_members", "organization_id"),
        }
    }
}

impl Member {
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            user_id: row.try_get("user_id")?,
            email: row.try_get("email")?,
            full_name: row.try_get("full_name")?,
            role: row.try_get("role")?,
            status: row.try_get("status")?,
            created_at: row.try_get("created_at")?,
        })
    }
}

fn select(group: Group, rest: &str) -> String {
    let (table, column) = group.table();
    format!(
        "select m.user_id, u.email::text as email, p.full_name, m.role, m.status,
           to_jsonb(m.created_at at time zone 'UTC') #>> '{{}}' || 'Z' as created_at
         from {table} m join auth.users u on u.id = m.user_id
         left join tenancy.user_profiles p on p.user_id = m.user_id
         where m.{column} = $1 and {rest}"
    )
}

/// Up to `limit` members, ordered by user id, after one.
pub(crate) async fn list(
    client: &Client,
    group: Group,
    after: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Member>, DbError> {
    let sql = select(group, "($2::uuid is null or m.user_id > $2) order by m.user_id limit $3");
    let parameters: [Bound<'_>; 3] =
        [(&group.id(), Type::UUID), (&after, Type::UUID), (&i64::from(limit), Type::INT8)];
    let rows = client.query_typed(&sql, &parameters).await?;
    Ok(rows.iter().map(Member::from_row).collect::<Result<_, _>>()?)
}

pub(crate) async fn find(client: &Client, group: Group, user: Uuid) -> Result<Option<Member>, DbError> {
    let sql = select(group, "m.user_id = $2");
    let row = client.query_typed_opt(&sql, &[(&group.id(), Type::UUID), (&user, Type::UUID)]).await?;
    Ok(row.as_ref().map(Member::from_row).transpose()?)
}

/// Adds a member; the schema refuses users and roles that do not exist.
pub(crate) async fn add(client: &Client, group: Group, user: Uuid, role: &str) -> Result<(), DbError> {
    let (table, column) = group.table();
    let sql = format!("insert into {table} ({column}, user_id, role) values ($1, $2, $3)");
    let parameters: [Bound<'_>; 3] = [(&group.id(), Type::UUID), (&user, Type::UUID), (&role, Type::TEXT)];
    client.execute_typed(&sql, &parameters).await?;
    Ok(())
}

/// Changes role and status; nothing where `None`.
pub(crate) async fn change(
    client: &Client,
    group: Group,
    user: Uuid,
    role: Option<&str>,
    status: Option<&str>,
) -> Result<(), DbError> {
    let (table, column) = group.table();
    let sql = format!(
        "update {table} set role = coalesce($3, role), status = coalesce($4, status), updated_at = clock_timestamp()
         where {column} = $1 and user_id = $2"
    );
    let parameters: [Bound<'_>; 4] =
        [(&group.id(), Type::UUID), (&user, Type::UUID), (&role, Type::TEXT), (&status, Type::TEXT)];
    client.execute_typed(&sql, &parameters).await?;
    Ok(())
}

pub(crate) async fn remove(client: &Client, group: Group, user: Uuid) -> Result<(), DbError> {
    let (table, column) = group.table();
    let sql = format!("delete from {table} where {column} = $1 and user_id = $2");
    client.execute_typed(&sql, &[(&group.id(), Type::UUID), (&user, Type::UUID)]).await?;
    Ok(())
}

/// Whether an active owner remains without this one.
pub(crate) async fn has_other_owner(client: &Client, group: Group, user: Uuid) -> Result<bool, DbError> {
    let (table, column) = group.table();
    let is_active = if group.tenant.is_some() { "m.is_active" } else { "m.status = 'active'" };
    let sql = format!(
        "select exists (select from {table} m
           where m.{column} = $1 and m.user_id <> $2 and m.role = 'owner' and {is_active})"
    );
    let row = client.query_typed_one(&sql, &[(&group.id(), Type::UUID), (&user, Type::UUID)]).await?;
    Ok(row.try_get(0)?)
}

/// A member's place in a tenant of the organization.
#[derive(Debug)]
pub(crate) struct Below {
    pub(crate) group: Group,
    pub(crate) role: String,
    /// Whether roles count there.
    pub(crate) is_open: bool,
    /// Whether no active owner remains without him. Nobody needs to in a deleted tenant.
    pub(crate) is_last_owner: bool,
}

/// Those of a member, whose tenants are locked until the transaction ends.
pub(crate) async fn lock_below(
    client: &Client,
    organization: OrganizationId,
    user: Uuid,
) -> Result<Vec<Below>, DbError> {
    let parameters: [Bound<'_>; 2] = [(&organization.0, Type::UUID), (&user, Type::UUID)];
    let lock = "select from tenancy.tenants t where t.organization_id = $1
                and exists (select from tenancy.memberships m where m.tenant_id = t.id and m.user_id = $2)
                order by t.id for no key update";
    client.query_typed(lock, &parameters).await?;
    // A statement of its own sees what was committed while the locks were waited for.
    let sql = "select t.id, m.role, t.is_open,
                 m.role = 'owner' and m.is_active and t.status not in ('deleted', 'erased') and not exists (
                   select from tenancy.memberships o
                   where o.tenant_id = t.id and o.user_id <> $2 and o.role = 'owner' and o.is_active) as is_last_owner
               from tenancy.tenants t join tenancy.memberships m on m.tenant_id = t.id and m.user_id = $2
               where t.organization_id = $1 order by t.id";
    let rows = client.query_typed(sql, &parameters).await?;
    let read = |row: &Row| -> Result<Below, tokio_postgres::Error> {
        let tenant = Some(TenantId(row.try_get("id")?));
        Ok(Below {
            group: Group { organization, tenant },
            role: row.try_get("role")?,
            is_open: row.try_get("is_open")?,
            is_last_owner: row.try_get("is_last_owner")?,
        })
    };
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// Why a user may not give or take a role: `owner` for that role, else a permission that he lacks; null if he may.
pub(crate) async fn refusal_of_role(
    client: &Client,
    user: Uuid,
    group: Group,
    role: &str,
) -> Result<Option<String>, DbError> {
    let (organization, tenant) = group.ids();
    let parameters: [Bound<'_>; 4] =
        [(&user, Type::UUID), (&organization, Type::UUID), (&tenant, Type::UUID), (&role, Type::TEXT)];
    let row = client.query_typed_one("select tenancy.refusal_of_role($1, $2, $3, $4)", &parameters).await?;
    Ok(row.try_get(0)?)
}
