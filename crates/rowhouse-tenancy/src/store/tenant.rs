//! `tenancy.tenants`.

use std::time::Duration;

use rowhouse_db::DbError;
use rowhouse_kernel::{OrganizationId, TenantId};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::Bound;
use super::search::{Own, Search};

/// A workspace of an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Tenant {
    pub(crate) id: Uuid,
    pub(crate) organization_id: Uuid,
    pub(crate) name: String,
    /// Unique within the organization.
    pub(crate) slug: String,
    /// `trial`, `active`, `suspended`, `cancelled`, `deleted` or `erased`.
    pub(crate) status: String,
    /// What it has booked.
    pub(crate) plan: Option<String>,
    /// End of the trial.
    #[schemars(extend("format" = "date-time"))]
    pub(crate) trial_ends_at: Option<String>,
    /// Why it is suspended.
    pub(crate) suspension_reason: Option<String>,
    /// When it was deleted.
    #[schemars(extend("format" = "date-time"))]
    pub(crate) deleted_at: Option<String>,
    /// Colours, logo and so on: an object.
    pub(crate) branding: Value,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) created_at: String,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) updated_at: String,
    /// The transaction that wrote the row, which differs after every change, also one by hand.
    #[serde(skip)]
    pub(crate) version: String,
}

impl Tenant {
    pub(super) fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            organization_id: row.try_get("organization_id")?,
            name: row.try_get("name")?,
            slug: row.try_get("slug")?,
            status: row.try_get("status")?,
            plan: row.try_get("plan")?,
            trial_ends_at: row.try_get("trial_ends_at")?,
            suspension_reason: row.try_get("suspension_reason")?,
            deleted_at: row.try_get("deleted_at")?,
            branding: row.try_get("branding")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            version: row.try_get("version")?,
        })
    }
}

macro_rules! tenant_columns {
    ($before:expr, $after:expr) => {
        concat!(
            $before,
            " t.id, t.organization_id, t.name, t.slug, t.status, t.plan, t.suspension_reason, t.branding,
              t.xmin::text as version,
              to_jsonb(t.trial_ends_at at time zone 'UTC') #>> '{}' || 'Z' as trial_ends_at,
              to_jsonb(t.deleted_at at time zone 'UTC') #>> '{}' || 'Z' as deleted_at,
              to_jsonb(t.created_at at time zone 'UTC') #>> '{}' || 'Z' as created_at,
              to_jsonb(t.updated_at at time zone 'UTC') #>> '{}' || 'Z' as updated_at ",
            $after
        )
    };
}
pub(super) use tenant_columns;

/// The tenant, if there is one.
pub(crate) async fn find(client: &Client, id: TenantId) -> Result<Option<Tenant>, DbError> {
    read(client, tenant_columns!("select", "from tenancy.tenants t where t.id = $1"), &[(&id.0, Type::UUID)])
        .await
}

/// The same, locked until the transaction ends, which serializes changes of a tenant and its members.
pub(crate) async fn lock(client: &Client, id: TenantId) -> Result<Option<Tenant>, DbError> {
    let sql = tenant_columns!("select", "from tenancy.tenants t where t.id = $1 for no key update");
    read(client, sql, &[(&id.0, Type::UUID)]).await
}

/// Whether there is such a tenant and it is open.
pub(crate) async fn is_open(client: &Client, id: TenantId) -> Result<bool, DbError> {
    let sql = "select exists (select from tenancy.tenants t where t.id = $1 and t.is_open)";
    Ok(client.query_typed_one(sql, &[(&id.0, Type::UUID)]).await?.try_get(0)?)
}

/// Makes one; it has no members yet.
pub(crate) async fn create(
    client: &Client,
    organization: OrganizationId,
    name: &str,
    slug: &str,
) -> Result<Tenant, DbError> {
    let sql = tenant_columns!(
        "insert into tenancy.tenants as t (organization_id, name, slug) values ($1, $2, $3) returning",
        ""
    );
    let parameters: [Bound<'_>; 3] =
        [(&organization.0, Type::UUID), (&name, Type::TEXT), (&slug, Type::TEXT)];
    Ok(Tenant::from_row(&client.query_typed_one(sql, &parameters).await?)?)
}

/// How many tenants an organization has, with those that were deleted within the window.
pub(crate) async fn count(
    client: &Client,
    organization: OrganizationId,
    window: Duration,
) -> Result<i64, DbError> {
    let sql = "select count(*) from tenancy.tenants t where t.organization_id = $1
                 and (t.deleted_at is null or t.deleted_at > clock_timestamp() - make_interval(secs => $2))";
    let parameters: [Bound<'_>; 2] = [(&organization.0, Type::UUID), (&window.as_secs_f64(), Type::FLOAT8)];
    Ok(client.query_typed_one(sql, &parameters).await?.try_get(0)?)
}

/// What of a tenant is changed; nothing where `None`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TenantUpdate<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) slug: Option<&'a str>,
    pub(crate) branding: Option<&'a Value>,
}

/// Changes it, if there is such a tenant.
pub(crate) async fn change(
    client: &Client,
    id: TenantId,
    update: TenantUpdate<'_>,
) -> Result<Option<Tenant>, DbError> {
    let sql = tenant_columns!(
        "update tenancy.tenants t set name = coalesce($2, name), slug = coalesce($3, slug),
           branding = coalesce($4, branding), updated_at = clock_timestamp() where t.id = $1 returning",
        ""
    );
    let parameters: [Bound<'_>; 4] = [
        (&id.0, Type::UUID),
        (&update.name, Type::TEXT),
        (&update.slug, Type::TEXT),
        (&update.branding, Type::JSONB),
    ];
    read(client, sql, &parameters).await
}

/// Whose tenants are listed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Listed {
    /// Everybody's.
    All,
    /// The open ones of an active member.
    Of(Own),
    /// All of an organization.
    In(OrganizationId),
    /// Those of an organization that an active member of it sees: all of them, or with the role `member` his own.
    Seen(OrganizationId, Uuid),
}

impl Listed {
    /// As a condition; one for each, so that the planner can begin with the few rows.
    const fn condition(self) -> &'static str {
        match self {
            Self::All => "true",
            Self::Of(_) => {
                "t.is_open and exists (
                   select from tenancy.organizations o where o.id = t.organization_id and o.is_open)
                 and t.id in (select m.tenant_id from tenancy.memberships m where m.user_id = $2 and m.is_active)
                 and coalesce(t.id = (select s.only_tenant_id from auth.sessions s where s.id = $8), true)"
            }
            Self::In(_) => "t.organization_id = $1",
            Self::Seen(..) => {
                "t.organization_id = $1 and (
                   (select m.role <> 'member' from tenancy.organization_members m
                    where m.organization_id = $1 and m.user_id = $2 and m.status = 'active')
                   or t.is_open and t.id in (
                     select m.tenant_id from tenancy.memberships m where m.user_id = $2 and m.is_active))"
            }
        }
    }

    /// Organization, user and session.
    const fn ids(self) -> [Option<Uuid>; 3] {
        match self {
            Self::All => [None; 3],
            Self::Of(own) => [None, Some(own.user), own.session],
            Self::In(organization) => [Some(organization.0), None, None],
            Self::Seen(organization, user) => [Some(organization.0), Some(user), None],
        }
    }
}

const SELECT: &str = tenant_columns!("select", "from tenancy.tenants t");
const FITS: &str = "and ($3::text is null or lower(t.name) like $3 or t.slug like $3 or t.id = $4)
   and ($5::text is null or t.status = $5)
   and ($6::uuid is null or t.id > $6)
 order by t.id limit $7";

/// The tenants that fit.
pub(crate) async fn list(client: &Client, listed: Listed, search: &Search) -> Result<Vec<Tenant>, DbError> {
    let sql = format!("{SELECT} where {} {FITS}", listed.condition());
    let [organization, user, session] = listed.ids();
    let (pattern, id, limit) = (search.pattern(), search.id(), i64::from(search.limit));
    let parameters: [Bound<'_>; 8] = [
        (&organization, Type::UUID),
        (&user, Type::UUID),
        (&pattern, Type::TEXT),
        (&id, Type::UUID),
        (&search.status, Type::TEXT),
        (&search.after, Type::UUID),
        (&limit, Type::INT8),
        (&session, Type::UUID),
    ];
    let rows = client.query_typed(&sql, &parameters).await?;
    Ok(rows.iter().map(Tenant::from_row).collect::<Result<_, _>>()?)
}

async fn read(client: &Client, sql: &str, parameters: &[Bound<'_>]) -> Result<Option<Tenant>, DbError> {
    let row = client.query_typed_opt(sql, parameters).await?;
    Ok(row.as_ref().map(Tenant::from_row).transpose()?)
}
