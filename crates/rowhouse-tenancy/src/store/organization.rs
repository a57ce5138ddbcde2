//! `tenancy.organizations`.

use std::time::Duration;

use rowhouse_db::DbError;
use rowhouse_kernel::OrganizationId;
use schemars::JsonSchema;
use serde::Serialize;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::Bound;
use super::search::{Own, Search};

/// A customer account, which owns tenants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Organization {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    /// Unique among all organizations.
    pub(crate) slug: String,
    /// `trial`, `active`, `suspended`, `cancelled` or `deleted`.
    pub(crate) status: String,
    /// Why it is suspended.
    pub(crate) suspension_reason: Option<String>,
    /// When it was deleted.
    #[schemars(extend("format" = "date-time"))]
    pub(crate) deleted_at: Option<String>,
    /// Made by its owner's sign-up.
    pub(crate) is_personal: bool,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) created_at: String,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) updated_at: String,
    /// The transaction that wrote the row, which differs after every change, also one by hand.
    #[serde(skip)]
    pub(crate) version: String,
}

impl Organization {
    pub(super) fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            slug: row.try_get("slug")?,
            status: row.try_get("status")?,
            suspension_reason: row.try_get("suspension_reason")?,
            deleted_at: row.try_get("deleted_at")?,
            is_personal: row.try_get("is_personal")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            version: row.try_get("version")?,
        })
    }
}

macro_rules! organization_columns {
    ($before:expr, $after:expr) => {
        concat!(
            $before,
            " o.id, o.name, o.slug, o.status, o.suspension_reason, o.is_personal, o.xmin::text as version,
              to_jsonb(o.deleted_at at time zone 'UTC') #>> '{}' || 'Z' as deleted_at,
              to_jsonb(o.created_at at time zone 'UTC') #>> '{}' || 'Z' as created_at,
              to_jsonb(o.updated_at at time zone 'UTC') #>> '{}' || 'Z' as updated_at ",
            $after
        )
    };
}
pub(super) use organization_columns;

/// The organization, if there is one.
pub(crate) async fn find(client: &Client, id: OrganizationId) -> Result<Option<Organization>, DbError> {
    let sql = organization_columns!("select", "from tenancy.organizations o where o.id = $1");
    read(client, sql, &[(&id.0, Type::UUID)]).await
}

/// The same, locked until the transaction ends, which serializes changes of an organization and its members.
pub(crate) async fn lock(client: &Client, id: OrganizationId) -> Result<Option<Organization>, DbError> {
    let sql =
        organization_columns!("select", "from tenancy.organizations o where o.id = $1 for no key update");
    read(client, sql, &[(&id.0, Type::UUID)]).await
}

/// Makes one; it has no members yet.
pub(crate) async fn create(client: &Client, name: &str, slug: &str) -> Result<Organization, DbError> {
    let sql = organization_columns!(
        "insert into tenancy.organizations as o (name, slug) values ($1, $2) returning",
        ""
    );
    let row = client.query_typed_one(sql, &[(&name, Type::TEXT), (&slug, Type::TEXT)]).await?;
    Ok(Organization::from_row(&row)?)
}

/// Changes name, slug or both, if there is such an organization.
pub(crate) async fn change(
    client: &Client,
    id: OrganizationId,
    name: Option<&str>,
    slug: Option<&str>,
) -> Result<Option<Organization>, DbError> {
    let sql = organization_columns!(
        "update tenancy.organizations o set name = coalesce($2, name), slug = coalesce($3, slug),
           updated_at = clock_timestamp() where o.id = $1 returning",
        ""
    );
    read(client, sql, &[(&id.0, Type::UUID), (&name, Type::TEXT), (&slug, Type::TEXT)]).await
}

/// All organizations that fit, or the open ones of an active member.
pub(crate) async fn list(
    client: &Client,
    member: Option<Own>,
    search: &Search,
) -> Result<Vec<Organization>, DbError> {
    // Two statements: an optional condition would keep the planner from beginning with the user's few memberships.
    let whose = match member {
        None => "true",
        Some(_) => {
            "o.is_open and o.id in (
               select m.organization_id from tenancy.organization_members m where m.user_id = $1 and m.status = 'active')
             and coalesce(o.id = (
               select t.organization_id from auth.sessions s join tenancy.tenants t on t.id = s.only_tenant_id
               where s.id = $7), true)"
        }
    };
    let (user, session) = (member.map(|own| own.user), member.and_then(|own| own.session));
    let sql = format!("{SELECT} where {whose} {FITS}");
    let (pattern, id, limit) = (search.pattern(), search.id(), i64::from(search.limit));
    let parameters: [Bound<'_>; 7] = [
        (&user, Type::UUID),
        (&pattern, Type::TEXT),
        (&id, Type::UUID),
        (&search.status, Type::TEXT),
        (&search.after, Type::UUID),
        (&limit, Type::INT8),
        (&session, Type::UUID),
    ];
    let rows = client.query_typed(&sql, &parameters).await?;
    Ok(rows.iter().map(Organization::from_row).collect::<Result<_, _>>()?)
}

const SELECT: &str = organization_columns!("select", "from tenancy.organizations o");
const FITS: &str = "and ($2::text is null or lower(o.name) like $2 or o.slug like $2 or o.id = $3)
   and ($4::text is null or o.status = $4)
   and ($5::uuid is null or o.id > $5)
 order by o.id limit $6";

/// The organization of this slug or id.
pub(crate) async fn find_named(client: &Client, name: &str) -> Result<Option<OrganizationId>, DbError> {
    let sql = "select id from tenancy.organizations where slug = $1 or id::text = lower($1)";
    let row = client.query_typed_opt(sql, &[(&name, Type::TEXT)]).await?;
    Ok(row.map(|row| row.try_get(0).map(OrganizationId)).transpose()?)
}

/// The user of this address or id.
pub(crate) async fn find_user(client: &Client, name: &str) -> Result<Option<Uuid>, DbError> {
    let sql = "select u.id from auth.users u where lower(u.email) = lower($1) or u.id::text = lower($1)
               order by u.deleted_at is null desc limit 1";
    let row = client.query_typed_opt(sql, &[(&name, Type::TEXT)]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// How many organizations a user owns, with closed ones and those that were deleted within the window; until the transaction
/// ends, nobody else counts for the same user.
pub(crate) async fn count_owned(client: &Client, user: Uuid, window: Duration) -> Result<i64, DbError> {
    let lock = "select pg_advisory_xact_lock(hashtextextended('tenancy.owner ' || $1, 0))";
    client.query_typed(lock, &[(&user.to_string(), Type::TEXT)]).await?;
    let sql = "select count(*) from tenancy.organization_members m join tenancy.organizations o on o.id = m.organization_id
               where m.user_id = $1 and m.role = 'owner'
                 and (o.deleted_at is null or o.deleted_at > clock_timestamp() - make_interval(secs => $2))";
    let parameters: [Bound<'_>; 2] = [(&user, Type::UUID), (&window.as_secs_f64(), Type::FLOAT8)];
    Ok(client.query_typed_one(sql, &parameters).await?.try_get(0)?)
}

async fn read(client: &Client, sql: &str, parameters: &[Bound<'_>]) -> Result<Option<Organization>, DbError> {
    let row = client.query_typed_opt(sql, parameters).await?;
    Ok(row.as_ref().map(Organization::from_row).transpose()?)
}
