//! `tenancy.tenant_products`: which products a tenant has enabled.

use rowhouse_db::DbError;
use rowhouse_kernel::TenantId;
use schemars::JsonSchema;
use serde::Serialize;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::Bound;
use super::word::words;

words! {
    /// What a tenant uses a product for.
    ProductEnvironment {
        Production = "production",
        Staging = "staging",
        Development = "development",
    }
}

/// A product that a tenant has enabled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct TenantProduct {
    /// The product's slug.
    pub(crate) product: String,
    /// The product's name.
    pub(crate) name: String,
    /// The product's: `active` or `retired`.
    pub(crate) status: String,
    /// `production`, `staging` or `development`.
    pub(crate) environment: String,
    /// A user's id, `service_role` or `api_key:ID`.
    pub(crate) enabled_by: String,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) enabled_at: String,
}

impl TenantProduct {
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            product: row.try_get("product")?,
            name: row.try_get("name")?,
            status: row.try_get("status")?,
            environment: row.try_get("environment")?,
            enabled_by: row.try_get("enabled_by")?,
            enabled_at: row.try_get("enabled_at")?,
        })
    }
}

macro_rules! select_enabled {
    ($rest:literal) => {
        concat!(
            "select p.slug as product, p.name, p.status, a.environment, a.enabled_by,
               to_jsonb(a.enabled_at at time zone 'UTC') #>> '{}' || 'Z' as enabled_at
             from tenancy.tenant_products a join tenancy.products p on p.id = a.product_id
             where a.tenant_id = $1 ",
            $rest
        )
    };
}

/// Up to `limit` of a tenant, in the order of slug and environment, after one.
pub(crate) async fn list(
    client: &Client,
    tenant: TenantId,
    after: Option<&(String, String)>,
    limit: u32,
) -> Result<Vec<TenantProduct>, DbError> {
    let sql = select_enabled!(
        "and ($2::text is null or (p.slug, a.environment) > ($2, $3)) order by p.slug, a.environment limit $4"
    );
    let (slug, environment) = after.map(|(slug, environment)| (slug, environment)).unzip();
    let parameters: [Bound<'_>; 4] = [
        (&tenant.0, Type::UUID),
        (&slug, Type::TEXT),
        (&environment, Type::TEXT),
        (&i64::from(limit), Type::INT8),
    ];
    let rows = client.query_typed(sql, &parameters).await?;
    Ok(rows.iter().map(TenantProduct::from_row).collect::<Result<_, _>>()?)
}

pub(crate) async fn find(
    client: &Client,
    tenant: TenantId,
    product: Uuid,
    environment: ProductEnvironment,
) -> Result<Option<TenantProduct>, DbError> {
    let sql = select_enabled!("and a.product_id = $2 and a.environment = $3");
    let parameters: [Bound<'_>; 3] =
        [(&tenant.0, Type::UUID), (&product, Type::UUID), (&environment.name(), Type::TEXT)];
    let row = client.query_typed_opt(sql, &parameters).await?;
    Ok(row.as_ref().map(TenantProduct::from_row).transpose()?)
}

/// Enables a product, by the transaction's actor.
pub(crate) async fn add(
    client: &Client,
    tenant: TenantId,
    product: Uuid,
    environment: ProductEnvironment,
) -> Result<(), DbError> {
    let sql = "insert into tenancy.tenant_products (tenant_id, product_id, environment) values ($1, $2, $3)";
    let parameters: [Bound<'_>; 3] =
        [(&tenant.0, Type::UUID), (&product, Type::UUID), (&environment.name(), Type::TEXT)];
    client.execute_typed(sql, &parameters).await?;
    Ok(())
}

/// Whether it was enabled.
pub(crate) async fn remove(
    client: &Client,
    tenant: TenantId,
    product: Uuid,
    environment: ProductEnvironment,
) -> Result<bool, DbError> {
    let sql =
        "delete from tenancy.tenant_products where tenant_id = $1 and product_id = $2 and environment = $3";
    let parameters: [Bound<'_>; 3] =
        [(&tenant.0, Type::UUID), (&product, Type::UUID), (&environment.name(), Type::TEXT)];
    Ok(client.execute_typed(sql, &parameters).await? > 0)
}

/// Whether a tenant has enabled an active product of this slug, for whatever.
pub(crate) async fn is_enabled(client: &Client, tenant: TenantId, slug: &str) -> Result<bool, DbError> {
    let sql = "select exists (
                 select from tenancy.tenant_products a join tenancy.products p on p.id = a.product_id
                 where a.tenant_id = $1 and p.slug = $2 and p.status = 'active')";
    let row = client.query_typed_one(sql, &[(&tenant.0, Type::UUID), (&slug, Type::TEXT)]).await?;
    Ok(row.try_get(0)?)
}
