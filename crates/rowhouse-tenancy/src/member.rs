//! Members of a tenant: listing, changing and removing them. Authorization is left to `permission`, except for owners.

use rowhouse_db::DbError;
use rowhouse_kernel::{Caller, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

/// A role within a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Has every permission, and can make owners.
    Owner,
    /// Has every permission but `organization:delete`.
    Admin,
    /// Manages members and tenants.
    Manager,
    /// Can view.
    Member,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Owner => OWNER,
            Self::Admin => "admin",
            Self::Manager => "manager",
            Self::Member => "member",
        }
    }
}

const OWNER: &str = "owner";

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Member {
    pub(crate) user_id: Uuid,
    pub(crate) email: Option<String>,
    /// `owner`, `admin`, `manager`, `member`, or a role of the organization's own.
    pub(crate) role: String,
    /// `active` or `suspended`.
    pub(crate) status: String,
    /// When the membership began.
    #[schemars(extend("format" = "date-time"))]
    pub(crate) created_at: String,
}

impl Member {
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            user_id: row.try_get("user_id")?,
            email: row.try_get("email")?,
            role: row.try_get("role")?,
            status: row.try_get("status")?,
            created_at: row.try_get("created_at")?,
        })
    }
}

/// Why a member is not changed or removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MemberError {
    /// The user is no member of this tenant.
    #[error("the user is no member of this tenant")]
    NotAMember,
    /// Only an owner can make, change or remove owners.
    #[error("only an owner makes, changes or removes owners")]
    OwnersOnly,
    /// The tenant would have no active owner.
    #[error("this is the tenant's last active owner")]
    LastOwner,
    /// The database's part.
    #[error(transparent)]
    Db(#[from] DbError),
}

macro_rules! select_members {
    ($rest:literal) => {
        concat!(
            "select m.user_id, u.email::text as email, m.role, m.status,
               to_jsonb(m.created_at at time zone 'UTC') #>> '{}' || 'Z' as created_at
             from tenancy.memberships m join auth.users u on u.id = m.user_id where m.tenant_id = $1 ",
            $rest
        )
    };
}

/// Up to `limit` members, ordered by user id, after one.
pub(crate) async fn list(
    client: &Client,
    tenant: TenantId,
    after: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Member>, DbError> {
    let sql = select_members!("and ($2::uuid is null or m.user_id > $2) order by m.user_id limit $3");
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&tenant.0, Type::UUID), (&after, Type::UUID), (&i64::from(limit), Type::INT8)];
    let rows = client.query_typed(sql, &parameters).await?;
    Ok(rows.iter().map(Member::from_row).collect::<Result<_, _>>()?)
}

async fn find(client: &Client, tenant: TenantId, user: Uuid) -> Result<Option<Member>, DbError> {
    let sql = select_members!("and m.user_id = $2");
    let row = client.query_typed_opt(sql, &[(&tenant.0, Type::UUID), (&user, Type::UUID)]).await?;
    Ok(row.as_ref().map(Member::from_row).transpose()?)
}

/// Changes a member's role. The transaction has to hold the lock on the tenant.
pub(crate) async fn set_role(
    client: &Client,
    caller: &Caller,
    tenant: TenantId,
    user: Uuid,
    role: Role,
) -> Result<Member, MemberError> {
    let member = find(client, tenant, user).await?.ok_or(MemberError::NotAMember)?;
    require_owners_consent(client, caller, tenant, &member, Some(role)).await?;
    let sql = "update tenancy.memberships set role = $3, updated_at = clock_timestamp()
               where tenant_id = $1 and user_id = $2";
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&tenant.0, Type::UUID), (&user, Type::UUID), (&role.name(), Type::TEXT)];
    client.execute_typed(sql, &parameters).await.map_err(DbError::from)?;
    Ok(Member { role: role.name().to_owned(), ..member })
}

/// Removes a member and returns the former membership. The transaction has to hold the lock on the tenant.
pub(crate) async fn remove(
    client: &Client,
    caller: &Caller,
    tenant: TenantId,
    user: Uuid,
) -> Result<Member, MemberError> {
    let member = find(client, tenant, user).await?.ok_or(MemberError::NotAMember)?;
    require_owners_consent(client, caller, tenant, &member, None).await?;
    let sql = "delete from tenancy.memberships where tenant_id = $1 and user_id = $2";
    let deleted = client.execute_typed(sql, &[(&tenant.0, Type::UUID), (&user, Type::UUID)]).await;
    deleted.map_err(DbError::from)?;
    Ok(member)
}

/// Requires an owner, or the service key, where an owner is made, changed or removed; and another owner to remain.
async fn require_owners_consent(
    client: &Client,
    caller: &Caller,
    tenant: TenantId,
    member: &Member,
    role: Option<Role>,
) -> Result<(), MemberError> {
    let (is_owner, becomes_owner) = (member.role == OWNER, role == Some(Role::Owner));
    if !is_owner && !becomes_owner {
        return Ok(());
    }
    if let Some(user) = caller.user {
        let asking = find(client, tenant, user.0).await?;
        if asking.is_none_or(|asking| asking.role != OWNER) && !caller.is_service() {
            return Err(MemberError::OwnersOnly);
        }
    }
    let loses_owner = is_owner && !becomes_owner;
    if loses_owner && !has_other_owner(client, tenant, member.user_id).await? {
        return Err(MemberError::LastOwner);
    }
    Ok(())
}

async fn has_other_owner(client: &Client, tenant: TenantId, user: Uuid) -> Result<bool, DbError> {
    let sql = "select exists (
                 select from tenancy.memberships m
                 where m.tenant_id = $1 and m.user_id <> $2 and m.role = 'owner' and m.status = 'active')";
    let row = client.query_typed_one(sql, &[(&tenant.0, Type::UUID), (&user, Type::UUID)]).await?;
    Ok(row.try_get(0)?)
}
