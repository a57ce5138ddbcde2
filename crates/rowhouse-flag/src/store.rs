//! SQL of `flags.flags` and `flags.rules`. Leaves overrides to [`crate::overriding`].

use rowhouse_db::DbError;
use serde_json::Value as Json;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::definition::{Fields, Flag, Targeting, Weighted};
use crate::value::Scope;

macro_rules! select_flags {
    ($rest:literal) => {
        concat!(
            "select f.name, f.description, f.kind, f.bucket_by, f.default_value, f.percentage::float8 as percentage,
               f.variants, f.weights, f.routes, f.owner, f.sunset_on::text as sunset_on, f.is_public,
               coalesce(f.sunset_on < (now() at time zone 'UTC')::date, false) as is_past_sunset,
               to_jsonb(f.created_at at time zone 'UTC') #>> '{}' || 'Z' as created_at,
               to_jsonb(f.updated_at at time zone 'UTC') #>> '{}' || 'Z' as updated_at,
               coalesce((
                 select jsonb_agg(jsonb_build_object('organizations', r.organizations, 'tenants', r.tenants,
                   'users', r.users, 'plans', r.plans, 'value', r.value, 'percentage', r.percentage) order by r.position)
                 from flags.rules r where r.flag = f.name), '[]') as rules
             from flags.flags f ",
            $rest
        )
    };
}

/// Up to `limit` flags by name, after one, whose name, description or owner contains `search`.
pub(crate) async fn list(
    client: &Client,
    search: &str,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<Flag>, DbError> {
    let sql = select_flags!(
        "where ($1::text is null or f.name > $1)
           and ($2 = '' or strpos(lower(concat_ws(' ', f.name, f.description, f.owner)), lower($2)) > 0)
         order by f.name limit $3"
    );
    let limit = i64::from(limit);
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&after, Type::TEXT), (&search, Type::TEXT), (&limit, Type::INT8)];
    client.query_typed(sql, &parameters).await?.iter().map(from_row).collect()
}

/// The flag, if there is one.
pub(crate) async fn find(client: &Client, name: &str) -> Result<Option<Flag>, DbError> {
    let row = client.query_typed_opt(select_flags!("where f.name = $1"), &[(&name, Type::TEXT)]).await?;
    row.as_ref().map(from_row).transpose()
}

/// The same, locked until the transaction ends, which serializes changes of a flag and its overrides.
pub(crate) async fn lock(client: &Client, name: &str) -> Result<Option<Flag>, DbError> {
    let sql = select_flags!("where f.name = $1 for no key update of f");
    let row = client.query_typed_opt(sql, &[(&name, Type::TEXT)]).await?;
    row.as_ref().map(from_row).transpose()
}

/// Makes a flag without rules; false if there is one of that name.
pub(crate) async fn insert(client: &Client, name: &str, fields: &Fields) -> Result<bool, DbError> {
    let sql = "insert into flags.flags (name, kind, owner, default_value) values ($1, $2, $3, $4) on conflict do nothing";
    let kind = fields.kind.as_str();
    let parameters: [(&(dyn ToSql + Sync), Type); 4] = [
        (&name, Type::TEXT),
        (&kind, Type::TEXT),
        (&fields.owner, Type::TEXT),
        (&fields.default_value, Type::TEXT),
    ];
    Ok(client.execute_typed(sql, &parameters).await? > 0)
}

/// Writes the fields of an existing flag, its rules included.
pub(crate) async fn update(client: &Client, name: &str, fields: &Fields) -> Result<(), DbError> {
    let sql = "update flags.flags set description = $2, bucket_by = $3, default_value = $4, percentage = $5::float8::numeric(5, 2),
                 variants = $6, weights = $7, routes = $8, owner = $9, sunset_on = $10::text::date, is_public = $11,
                 updated_at = clock_timestamp()
               where name = $1";
    let (bucket_by, variants) = (fields.bucket_by.as_str(), fields.names());
    let weights: Vec<i32> =
        fields.variants.iter().map(|one| i32::try_from(one.weight).unwrap_or(0)).collect();
    let parameters: [(&(dyn ToSql + Sync), Type); 11] = [
        (&name, Type::TEXT),
        (&fields.description, Type::TEXT),
        (&bucket_by, Type::TEXT),
        (&fields.default_value, Type::TEXT),
        (&fields.percentage, Type::FLOAT8),
        (&variants, Type::TEXT_ARRAY),
        (&weights, Type::INT4_ARRAY),
        (&fields.routes, Type::TEXT_ARRAY),
        (&fields.owner, Type::TEXT),
        (&fields.sunset_on, Type::TEXT),
        (&fields.is_public, Type::BOOL),
    ];
    client.execute_typed(sql, &parameters).await?;
    replace_rules(client, name, &fields.rules).await
}

async fn replace_rules(client: &Client, name: &str, rules: &[Targeting]) -> Result<(), DbError> {
    client.execute_typed("delete from flags.rules where flag = $1", &[(&name, Type::TEXT)]).await?;
    if rules.is_empty() {
        return Ok(());
    }
    let sql = "insert into flags.rules (flag, organizations, tenants, users, plans, value, percentage, position)
               select $1, r.* from rows from (jsonb_to_recordset($2) as (organizations uuid[], tenants uuid[], users uuid[],
                 plans text[], value text, percentage numeric)) with ordinality r";
    let rules = serde_json::to_value(rules).unwrap_or_default();
    client.execute_typed(sql, &[(&name, Type::TEXT), (&rules, Type::JSONB)]).await?;
    Ok(())
}

/// Deletes a flag with its rules and overrides; false if there is none.
pub(crate) async fn delete(client: &Client, name: &str) -> Result<bool, DbError> {
    let sql = "delete from flags.flags where name = $1";
    Ok(client.execute_typed(sql, &[(&name, Type::TEXT)]).await? > 0)
}

/// Whether such a user, tenant or organization exists.
pub(crate) async fn exists(client: &Client, scope: Scope, id: Uuid) -> Result<bool, DbError> {
    let sql = match scope {
        Scope::User => "select exists (select from auth.users where id = $1)",
        Scope::Tenant => "select exists (select from tenancy.tenants where id = $1)",
        Scope::Organization => "select exists (select from tenancy.organizations where id = $1)",
    };
    Ok(client.query_typed_one(sql, &[(&id, Type::UUID)]).await?.try_get(0)?)
}

/// What a flag is by `flags.evaluate`, as JSON; without an organization, the tenant's.
pub(crate) async fn evaluate(
    client: &Client,
    name: &str,
    organization: Option<Uuid>,
    tenant: Option<Uuid>,
    user: Option<Uuid>,
) -> Result<Json, DbError> {
    let sql = "select jsonb_build_object('enabled', e.is_on, 'variant', e.variant, 'reason', e.reason, 'rule', e.rule,
                 'bucket', e.bucket)
               from flags.evaluate($1, coalesce($2, (select t.organization_id from tenancy.tenants t where t.id = $3)), $3, $4) e";
    let parameters: [(&(dyn ToSql + Sync), Type); 4] =
        [(&name, Type::TEXT), (&organization, Type::UUID), (&tenant, Type::UUID), (&user, Type::UUID)];
    Ok(client.query_typed_one(sql, &parameters).await?.try_get(0)?)
}

fn from_row(row: &Row) -> Result<Flag, DbError> {
    let odd = |why: String| DbError::Protocol(why.into());
    let (names, weights): (Vec<String>, Vec<i32>) = (row.try_get("variants")?, row.try_get("weights")?);
    let weighted = |(name, weight): (String, i32)| Weighted { name, weight: weight.unsigned_abs() };
    let rules: Json = row.try_get("rules")?;
    let fields = Fields {
        description: row.try_get("description")?,
        kind: row.try_get::<_, &str>("kind")?.parse().map_err(odd)?,
        bucket_by: row.try_get::<_, &str>("bucket_by")?.parse().map_err(odd)?,
        default_value: row.try_get("default_value")?,
        percentage: row.try_get("percentage")?,
        variants: names.into_iter().zip(weights).map(weighted).collect(),
        rules: serde_json::from_value(rules).map_err(|error| odd(error.to_string()))?,
        routes: row.try_get("routes")?,
        owner: row.try_get("owner")?,
        sunset_on: row.try_get("sunset_on")?,
        is_public: row.try_get("is_public")?,
    };
    Ok(Flag {
        name: row.try_get("name")?,
        fields,
        is_past_sunset: row.try_get("is_past_sunset")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
