//! `domains.claims`, as functions that take a client. Leaves deciding to `flow`, and transitions to the schema.

pub(crate) mod change;

use rowhouse_db::DbError;
use rowhouse_kernel::TenantId;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use crate::claim::{Claim, Owner, Status};

/// A bound value with its type.
pub(crate) type Bound<'a> = (&'a (dyn ToSql + Sync), Type);

const SELECT: &str = "select c.id, c.organization_id, c.tenant_id, c.name, c.status, c.proof, c.challenge, c.created_at,
    c.verified_at, c.confirmed_at, c.checked_at, c.failing_since, c.last_error, c.released_at, d.auto_join, d.auto_join_role,
    c.xmin::text || coalesce('.' || d.xmin::text, '') as version
  from domains.claims c
  left join tenancy.organization_domains d
    on c.tenant_id is null and c.status <> 'released' and d.organization_id = c.organization_id and d.domain = c.name";

/// The owner's claims, as a condition on `$1`.
const fn of(owner: Owner) -> &'static str {
    match owner {
        Owner::Tenant(_) => "c.tenant_id = $1",
        Owner::Organization(_) => "c.organization_id = $1 and c.tenant_id is null",
    }
}

/// The open tenant that has verified exactly this host name; for those who serve it.
///
/// # Errors
/// The database's.
pub async fn owner_of(client: &Client, host: &str) -> Result<Option<TenantId>, DbError> {
    let row = client.query_typed_one("select domains.owner_of($1)", &[(&host, Type::TEXT)]).await?;
    Ok(row.try_get::<_, Option<Uuid>>(0)?.map(TenantId))
}

/// The owner's organization and name, locked until the transaction ends: its claims are made one after the other.
pub(crate) async fn lock(client: &Client, owner: Owner) -> Result<Option<(Uuid, String)>, DbError> {
    let sql = match owner {
        Owner::Tenant(_) => {
            "select t.organization_id, t.name from tenancy.tenants t where t.id = $1 for no key update"
        }
        Owner::Organization(_) => {
            "select o.id, o.name from tenancy.organizations o where o.id = $1 for no key update"
        }
    };
    let row = client.query_typed_opt(sql, &[(&owner.id(), Type::UUID)]).await?;
    Ok(row.map(|row| Ok::<_, tokio_postgres::Error>((row.try_get(0)?, row.try_get(1)?))).transpose()?)
}

/// Whether there is such an owner.
pub(crate) async fn exists(client: &Client, owner: Owner) -> Result<bool, DbError> {
    let sql = match owner {
        Owner::Tenant(_) => "select exists (select from tenancy.tenants t where t.id = $1)",
        Owner::Organization(_) => "select exists (select from tenancy.organizations o where o.id = $1)",
    };
    Ok(client.query_typed_one(sql, &[(&owner.id(), Type::UUID)]).await?.try_get(0)?)
}

/// The owner's claim.
pub(crate) async fn find(client: &Client, owner: Owner, id: Uuid) -> Result<Option<Claim>, DbError> {
    let sql = format!("{SELECT} where {} and c.id = $2", of(owner));
    let row = client.query_typed_opt(&sql, &[(&owner.id(), Type::UUID), (&id, Type::UUID)]).await?;
    Ok(row.as_ref().map(Claim::from_row).transpose()?)
}

/// Any claim.
pub(crate) async fn find_any(client: &Client, id: Uuid) -> Result<Option<Claim>, DbError> {
    let row = client.query_typed_opt(&format!("{SELECT} where c.id = $1"), &[(&id, Type::UUID)]).await?;
    Ok(row.as_ref().map(Claim::from_row).transpose()?)
}

/// The owner's claim to a name, unless it was released.
pub(crate) async fn find_named(client: &Client, owner: Owner, name: &str) -> Result<Option<Claim>, DbError> {
    let sql = format!("{SELECT} where {} and c.name = $2 and c.status <> 'released'", of(owner));
    let row = client.query_typed_opt(&sql, &[(&owner.id(), Type::UUID), (&name, Type::TEXT)]).await?;
    Ok(row.as_ref().map(Claim::from_row).transpose()?)
}

/// How many the owner has, without released ones.
pub(crate) async fn count(client: &Client, owner: Owner) -> Result<i64, DbError> {
    let sql = format!("select count(*) from domains.claims c where {} and c.status <> 'released'", of(owner));
    Ok(client.query_typed_one(&sql, &[(&owner.id(), Type::UUID)]).await?.try_get(0)?)
}

/// Up to `limit` claims, the newest first, before one; without a status all but released ones.
pub(crate) async fn list(
    client: &Client,
    owner: Owner,
    status: Option<Status>,
    before: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Claim>, DbError> {
    let sql = format!(
        "{SELECT} where {} and ($2::text is null and c.status <> 'released' or c.status = $2)
           and ($3::uuid is null or c.id < $3) order by c.id desc limit $4",
        of(owner)
    );
    let (status, limit) = (status.map(Status::name), i64::from(limit));
    let parameters: [Bound<'_>; 4] =
        [(&owner.id(), Type::UUID), (&status, Type::TEXT), (&before, Type::UUID), (&limit, Type::INT8)];
    let rows = client.query_typed(&sql, &parameters).await?;
    Ok(rows.iter().map(Claim::from_row).collect::<Result<_, _>>()?)
}

/// Addresses of the owners of what the claim belongs to, ten at most.
pub(crate) async fn owners(client: &Client, claim: &Claim) -> Result<Vec<String>, DbError> {
    let sql = "select distinct u.email::text from auth.users u
               where u.deleted_at is null and u.email_confirmed_at is not null and u.id in (
                 select m.user_id from tenancy.organization_members m
                 where m.organization_id = $1 and m.role = 'owner' and m.status = 'active'
                 union all
                 select m.user_id from tenancy.memberships m
                 where m.tenant_id = $2 and m.role = 'owner' and m.is_active)
               order by 1 limit 10";
    let parameters: [Bound<'_>; 2] = [(&claim.organization_id, Type::UUID), (&claim.tenant_id, Type::UUID)];
    let rows = client.query_typed(sql, &parameters).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

/// Up to `limit` verified claims whose proof has to be looked for, put off by `rest` so that nobody else looks meanwhile.
pub(crate) async fn take_due(client: &Client, rest: f64, limit: i64) -> Result<Vec<Claim>, DbError> {
    let sql = format!(
        "with due as (
           update domains.claims d set next_check_at = clock_timestamp() + make_interval(secs => $1)
           where d.id = any (array(
             select c.id from domains.claims c
             where c.status = 'verified' and c.next_check_at <= clock_timestamp()
             order by c.next_check_at limit $2 for update skip locked))
           returning d.id)
         {SELECT} where c.id in (select due.id from due) order by c.id"
    );
    let rows = client.query_typed(&sql, &[(&rest, Type::FLOAT8), (&limit, Type::INT8)]).await?;
    Ok(rows.iter().map(Claim::from_row).collect::<Result<_, _>>()?)
}
