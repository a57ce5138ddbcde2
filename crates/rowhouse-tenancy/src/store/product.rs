//! `tenancy.products`.

use rowhouse_db::DbError;
use schemars::JsonSchema;
use serde::Serialize;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::Bound;
use super::word::words;

words! {
    /// A role in a product.
    ProductRole {
        Owner = "OWNER",
        Admin = "ADMIN",
        Editor = "EDITOR",
        Viewer = "VIEWER",
        Analyst = "ANALYST",
        Contributor = "CONTRIBUTOR",
        Member = "MEMBER",
    }
}

impl ProductRole {
    /// How strong it is among all: what the others mean is the product's to decide.
    pub(crate) const fn rank(self) -> u8 {
        match self {
            Self::Owner => 3,
            Self::Admin => 2,
            Self::Editor => 1,
            Self::Viewer | Self::Analyst | Self::Contributor | Self::Member => 0,
        }
    }
}

words! {
    /// Whether a product can be used.
    ProductStatus {
        Active = "active",
        /// By nobody, whatever he is entitled to.
        Retired = "retired",
    }
}

/// What tenants can use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Product {
    pub(crate) id: Uuid,
    /// Its name in URLs and in `auth.product_role`.
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) icon_url: Option<String>,
    /// Where a launcher leads.
    pub(crate) launcher_url: Option<String>,
    /// Scopes that its application asks for.
    pub(crate) scopes: Vec<String>,
    /// Its application: who is not entitled to the product gets no token for it.
    pub(crate) oauth_client_id: Option<Uuid>,
    /// Of its application.
    pub(crate) redirect_uris: Vec<String>,
    /// Of its application: where a sign-out may lead.
    pub(crate) post_logout_redirect_uris: Vec<String>,
    /// `active` or `retired`.
    pub(crate) status: String,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) created_at: String,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) updated_at: String,
    /// The transaction that wrote the row, which differs after every change, also one by hand.
    #[serde(skip)]
    pub(crate) version: String,
}

impl Product {
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            slug: row.try_get("slug")?,
            name: row.try_get("name")?,
            description: row.try_get("description")?,
            icon_url: row.try_get("icon_url")?,
            launcher_url: row.try_get("launcher_url")?,
            scopes: row.try_get("scopes")?,
            oauth_client_id: row.try_get("oauth_client_id")?,
            redirect_uris: row.try_get("redirect_uris")?,
            post_logout_redirect_uris: row.try_get("post_logout_redirect_uris")?,
            status: row.try_get("status")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            version: row.try_get("version")?,
        })
    }

    pub(crate) fn is_active(&self) -> bool {
        self.status == ProductStatus::Active.name()
    }
}

macro_rules! product_columns {
    ($before:expr, $after:expr) => {
        concat!(
            $before,
            " p.id, p.slug, p.name, p.description, p.icon_url, p.launcher_url, p.scopes, p.oauth_client_id, p.status,
              coalesce((
                select string_to_array(c.redirect_uris, ',') from auth.oauth_clients c
                where c.id = p.oauth_client_id and c.deleted_at is null), '{}') as redirect_uris,
              coalesce((
                select string_to_array(c.post_logout_redirect_uris, ',') from auth.oauth_clients c
                where c.id = p.oauth_client_id and c.deleted_at is null), '{}') as post_logout_redirect_uris,
              p.xmin::text as version,
              to_jsonb(p.created_at at time zone 'UTC') #>> '{}' || 'Z' as created_at,
              to_jsonb(p.updated_at at time zone 'UTC') #>> '{}' || 'Z' as updated_at ",
            $after
        )
    };
}

/// Up to `limit` products in the order of their slugs, after one; without the retired ones unless `is_whole`.
pub(crate) async fn list(
    client: &Client,
    is_whole: bool,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<Product>, DbError> {
    let sql = product_columns!(
        "select",
        "from tenancy.products p where ($1 or p.status = 'active') and ($2::text is null or p.slug > $2)
         order by p.slug limit $3"
    );
    let parameters: [Bound<'_>; 3] =
        [(&is_whole, Type::BOOL), (&after, Type::TEXT), (&i64::from(limit), Type::INT8)];
    let rows = client.query_typed(sql, &parameters).await?;
    Ok(rows.iter().map(Product::from_row).collect::<Result<_, _>>()?)
}

pub(crate) async fn find(client: &Client, slug: &str) -> Result<Option<Product>, DbError> {
    let sql = product_columns!("select", "from tenancy.products p where p.slug = $1");
    read(client, sql, &[(&slug, Type::TEXT)]).await
}

/// The same, locked until the transaction ends.
pub(crate) async fn lock(client: &Client, slug: &str) -> Result<Option<Product>, DbError> {
    let sql = product_columns!("select", "from tenancy.products p where p.slug = $1 for no key update");
    read(client, sql, &[(&slug, Type::TEXT)]).await
}

/// What of a product can be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProductFields {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) icon_url: Option<String>,
    pub(crate) launcher_url: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) oauth_client_id: Option<Uuid>,
    pub(crate) status: ProductStatus,
}

/// Makes one.
pub(crate) async fn create(client: &Client, slug: &str, fields: &ProductFields) -> Result<Product, DbError> {
    let sql = product_columns!(
        "insert into tenancy.products as p
           (slug, name, description, icon_url, launcher_url, scopes, oauth_client_id, status)
         values ($1, $2, $3, $4, $5, $6, $7, $8) returning",
        ""
    );
    let status = fields.status.name();
    Ok(Product::from_row(&client.query_typed_one(sql, &bound(&slug, fields, &status)).await?)?)
}

/// Gives it these fields, if there is such a product.
pub(crate) async fn change(
    client: &Client,
    slug: &str,
    fields: &ProductFields,
) -> Result<Option<Product>, DbError> {
    let sql = product_columns!(
        "update tenancy.products p set name = $2, description = $3, icon_url = $4, launcher_url = $5, scopes = $6,
           oauth_client_id = $7, status = $8, updated_at = clock_timestamp() where p.slug = $1 returning",
        ""
    );
    read(client, sql, &bound(&slug, fields, &fields.status.name())).await
}

fn bound<'a>(slug: &'a &str, fields: &'a ProductFields, status: &'a &'static str) -> [Bound<'a>; 8] {
    [
        (slug, Type::TEXT),
        (&fields.name, Type::TEXT),
        (&fields.description, Type::TEXT),
        (&fields.icon_url, Type::TEXT),
        (&fields.launcher_url, Type::TEXT),
        (&fields.scopes, Type::TEXT_ARRAY),
        (&fields.oauth_client_id, Type::UUID),
        (status, Type::TEXT),
    ]
}

/// The schema refuses to delete a product that tenants use.
pub(crate) async fn delete(client: &Client, slug: &str) -> Result<(), DbError> {
    client.execute_typed("delete from tenancy.products where slug = $1", &[(&slug, Type::TEXT)]).await?;
    Ok(())
}

/// Whether there is such an application, registered by an administrator.
pub(crate) async fn is_application(client: &Client, id: Uuid) -> Result<bool, DbError> {
    let sql = "select exists (
                 select from auth.oauth_clients c
                 where c.id = $1 and c.registration_type = 'manual' and c.deleted_at is null)";
    Ok(client.query_typed_one(sql, &[(&id, Type::UUID)]).await?.try_get(0)?)
}

/// Ends the sessions of its application whose users are not entitled to it any more: of all users, or of the tenant's
/// members, or of one.
pub(crate) async fn end_sessions(
    client: &Client,
    product: Uuid,
    tenant: Option<Uuid>,
    user: Option<Uuid>,
) -> Result<(), DbError> {
    let sql = "select tenancy.end_product_sessions($1, $2, $3)";
    client.query_typed(sql, &[(&product, Type::UUID), (&tenant, Type::UUID), (&user, Type::UUID)]).await?;
    Ok(())
}

async fn read(client: &Client, sql: &str, parameters: &[Bound<'_>]) -> Result<Option<Product>, DbError> {
    let row = client.query_typed_opt(sql, parameters).await?;
    Ok(row.as_ref().map(Product::from_row).transpose()?)
}
