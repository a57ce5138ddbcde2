//! `tenancy.entitlements`.

use rowhouse_db::DbError;
use rowhouse_kernel::{ApiKeyId, TenantId, UserId};
use schemars::JsonSchema;
use serde::Serialize;
use time::OffsetDateTime;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::Bound;
use super::product::ProductRole;

/// Who may use a product of a tenant, in which role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Entitlement {
    pub(crate) id: Uuid,
    /// The product's slug.
    pub(crate) product: String,
    /// Only this member; null means all members, unless they have one of their own.
    pub(crate) user_id: Option<Uuid>,
    pub(crate) email: Option<String>,
    /// `OWNER`, `ADMIN`, `EDITOR`, `VIEWER`, `ANALYST`, `CONTRIBUTOR` or `MEMBER`.
    pub(crate) role: String,
    /// From when on it gives nothing.
    #[schemars(extend("format" = "date-time"))]
    pub(crate) expires_at: Option<String>,
    /// Who gave it last: a user's id, `service_role` or `api_key:ID`.
    pub(crate) granted_by: String,
    /// When it last let somebody use the product's application, a minute late at most.
    #[schemars(extend("format" = "date-time"))]
    pub(crate) last_used_at: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) created_at: String,
}

impl Entitlement {
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            product: row.try_get("product")?,
            user_id: row.try_get("user_id")?,
            email: row.try_get("email")?,
            role: row.try_get("role")?,
            expires_at: row.try_get("expires_at")?,
            granted_by: row.try_get("granted_by")?,
            last_used_at: row.try_get("last_used_at")?,
            created_at: row.try_get("created_at")?,
        })
    }
}

macro_rules! select_entitlements {
    ($rest:literal) => {
        concat!(
            "select e.id, p.slug as product, e.user_id, u.email::text as email, e.role, e.granted_by,
               to_jsonb(e.expires_at at time zone 'UTC') #>> '{}' || 'Z' as expires_at,
               to_jsonb(e.last_used_at at time zone 'UTC') #>> '{}' || 'Z' as last_used_at,
               to_jsonb(e.created_at at time zone 'UTC') #>> '{}' || 'Z' as created_at
             from tenancy.entitlements e
             join tenancy.products p on p.id = e.product_id
             left join auth.users u on u.id = e.user_id
             where e.tenant_id = $1 ",
            $rest
        )
    };
}

/// What a list is narrowed to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Narrowed {
    /// To a product of this slug.
    pub(crate) product: Option<String>,
    /// To those of this user's own.
    pub(crate) user: Option<Uuid>,
    /// To what comes behind this id.
    pub(crate) after: Option<Uuid>,
    /// To at most so many.
    pub(crate) limit: u32,
}

/// Those of a tenant, in the order of their ids.
pub(crate) async fn list(
    client: &Client,
    tenant: TenantId,
    narrowed: &Narrowed,
) -> Result<Vec<Entitlement>, DbError> {
    let sql = select_entitlements!(
        "and ($2::text is null or p.slug = $2) and ($3::uuid is null or e.user_id = $3)
         and ($4::uuid is null or e.id > $4) order by e.id limit $5"
    );
    let parameters: [Bound<'_>; 5] = [
        (&tenant.0, Type::UUID),
        (&narrowed.product, Type::TEXT),
        (&narrowed.user, Type::UUID),
        (&narrowed.after, Type::UUID),
        (&i64::from(narrowed.limit), Type::INT8),
    ];
    let rows = client.query_typed(sql, &parameters).await?;
    Ok(rows.iter().map(Entitlement::from_row).collect::<Result<_, _>>()?)
}

/// That of a member, or of all members.
pub(crate) async fn find(
    client: &Client,
    tenant: TenantId,
    product: Uuid,
    user: Option<Uuid>,
) -> Result<Option<Entitlement>, DbError> {
    let sql = select_entitlements!("and e.product_id = $2 and e.user_id is not distinct from $3");
    let parameters: [Bound<'_>; 3] = [(&tenant.0, Type::UUID), (&product, Type::UUID), (&user, Type::UUID)];
    let row = client.query_typed_opt(sql, &parameters).await?;
    Ok(row.as_ref().map(Entitlement::from_row).transpose()?)
}

/// The role that all members have, without one of their own, at this moment.
pub(crate) async fn common_role(
    client: &Client,
    tenant: TenantId,
    product: Uuid,
) -> Result<Option<String>, DbError> {
    let sql = "select e.role from tenancy.entitlements e
               where e.tenant_id = $1 and e.product_id = $2 and e.user_id is null
                 and (e.expires_at is null or e.expires_at > now())";
    let row = client.query_typed_opt(sql, &[(&tenant.0, Type::UUID), (&product, Type::UUID)]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// What is given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grant<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) product: Uuid,
    /// All members if it is `None`.
    pub(crate) user: Option<Uuid>,
    pub(crate) role: ProductRole,
    pub(crate) expires_at: Option<OffsetDateTime>,
    /// Who gives it, as in the audit log; the transaction's actor if it is `None`.
    pub(crate) by: Option<&'a str>,
}

/// Gives it, or changes what was given before. The schema refuses who is no member, and a product
/// that is not enabled.
pub(crate) async fn put(client: &Client, grant: &Grant<'_>) -> Result<(), DbError> {
    let sql =
        "insert into tenancy.entitlements as e (tenant_id, product_id, user_id, role, expires_at, granted_by)
               values ($1, $2, $3, $4, $5,
                 coalesce($6, nullif(current_setting('rowhouse.actor', true), ''), 'sql:' || session_user))
               on conflict (tenant_id, product_id, user_id) do update
               set role = excluded.role, expires_at = excluded.expires_at, granted_by = excluded.granted_by,
                 updated_at = clock_timestamp()";
    let parameters: [Bound<'_>; 6] = [
        (&grant.tenant.0, Type::UUID),
        (&grant.product, Type::UUID),
        (&grant.user, Type::UUID),
        (&grant.role.name(), Type::TEXT),
        (&grant.expires_at, Type::TIMESTAMPTZ),
        (&grant.by, Type::TEXT),
    ];
    client.execute_typed(sql, &parameters).await?;
    Ok(())
}

pub(crate) async fn remove(client: &Client, id: Uuid) -> Result<(), DbError> {
    client.execute_typed("delete from tenancy.entitlements where id = $1", &[(&id, Type::UUID)]).await?;
    Ok(())
}

/// Why a user may not give or take a role in a product: `owner`, else a permission that he lacks; `None` if he may.
pub(crate) async fn refusal(
    client: &Client,
    user: UserId,
    tenant: TenantId,
    (product, role): (&str, &str),
) -> Result<Option<String>, DbError> {
    let parameters: [Bound<'_>; 4] =
        [(&user.0, Type::UUID), (&tenant.0, Type::UUID), (&product, Type::TEXT), (&role, Type::TEXT)];
    let row =
        client.query_typed_one("select tenancy.refusal_of_product_role($1, $2, $3, $4)", &parameters).await?;
    Ok(row.try_get(0)?)
}

/// The same of a key.
pub(crate) async fn refusal_by_key(
    client: &Client,
    key: ApiKeyId,
    tenant: TenantId,
    role: &str,
) -> Result<Option<String>, DbError> {
    let parameters: [Bound<'_>; 3] = [(&key.0, Type::UUID), (&tenant.0, Type::UUID), (&role, Type::TEXT)];
    let sql = "select tenancy.refusal_of_product_role_by_key($1, $2, $3)";
    Ok(client.query_typed_one(sql, &parameters).await?.try_get(0)?)
}
