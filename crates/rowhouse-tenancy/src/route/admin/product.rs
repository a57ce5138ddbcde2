//! `/admin/v1/products`: what tenants can use. Everybody sees it; operators make it.

use axum::Json;
use axum::extract::{Extension, State};
use rowhouse_db::Transaction;
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::get_with;
use rowhouse_http::api::{
    Body, Created, Cursor, ETag, IfMatch, NoContent, Once, Page, Params, Problem, Routes, Segment, Tagged,
    limit, operation,
};
use rowhouse_kernel::Origin;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_postgres::Client;
use uuid::Uuid;

use super::may::ProductAdministrator;
use super::{MOST_LISTED, TenancyAdmin};
use crate::flow::product::{self as flow, ProductChange};
use crate::store::product::{self as store, Product, ProductFields, ProductStatus};

/// The paths below `/admin/v1/products`.
pub(crate) fn products() -> Routes<TenancyAdmin> {
    let listed = operation(
        "listProducts",
        "List products; operators and the service key see retired ones, too",
        &[400],
    );
    let created = operation("createProduct", "Make a product; for super_admins", &[400, 409, 422]);
    let shown = operation("getProduct", "A product", &[400, 404]);
    let changed = operation(
        "changeProduct",
        "Change or retire a product, which gives nobody anything from then on; for super_admins, with the version that was seen",
        &[400, 404, 409, 412, 422, 428],
    );
    let deleted = operation(
        "deleteProduct",
        "Delete a product that no tenant has enabled; for super_admins",
        &[400, 404, 409],
    );
    Routes::default()
        .at("/", get_with(list, listed).post_with(create, created))
        .at("/{product}", get_with(show, shown).patch_with(change, changed).delete_with(delete, deleted))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ProductsQuery {
    /// Where the page begins: `next` of the one before.
    cursor: Option<Cursor>,
    /// 1 to 1000; 50 if not given.
    limit: Option<u32>,
}

async fn list(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Params(query): Params<ProductsQuery>,
) -> Result<Json<Page<Product>>, Problem> {
    let limit = limit(query.limit, MOST_LISTED)?;
    let after = query.cursor.map(|cursor| cursor.position::<String>()).transpose()?;
    let list = async move |client: &Client| {
        let is_whole = flow::sees_all(client, &caller).await?;
        Ok::<_, Problem>(store::list(client, is_whole, after.as_deref(), limit).await?)
    };
    let found = tenancy.control.statement(&origin.operation("tenancy.list_products"), list).await?;
    Ok(Json(Page::new(found, limit, |product| product.slug.clone())))
}

async fn show(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(slug): Segment,
) -> Result<Tagged<Product>, Problem> {
    let find = async move |client: &Client| Ok::<_, Problem>(flow::get(client, &caller, &slug).await?);
    Ok(tagged(tenancy.control.statement(&origin.operation("tenancy.find_product"), find).await?))
}

fn tagged(product: Product) -> Tagged<Product> {
    let version = ETag::new(&product.version);
    Tagged(product, version)
}

/// Body of a new product.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewProduct {
    /// 1 to 63 of a-z, 0-9 and hyphens, no hyphen first; it stays.
    slug: String,
    #[schemars(length(min = 1, max = 200))]
    name: String,
    #[serde(default)]
    #[schemars(length(max = 500))]
    description: String,
    icon_url: Option<String>,
    /// Where a launcher leads.
    launcher_url: Option<String>,
    /// Scopes that its application asks for.
    #[serde(default)]
    #[schemars(length(max = 50))]
    scopes: Vec<String>,
    /// Its application, of no other product; who is not entitled to the product gets no token for it.
    oauth_client_id: Option<Uuid>,
}

async fn create(
    State(tenancy): State<TenancyAdmin>,
    ProductAdministrator(caller): ProductAdministrator,
    Extension(origin): Extension<Origin>,
    once: Once,
    Body(new): Body<NewProduct>,
) -> Result<Created<Product>, Problem> {
    let fields = ProductFields {
        name: new.name,
        description: new.description,
        icon_url: new.icon_url,
        launcher_url: new.launcher_url,
        scopes: new.scopes,
        oauth_client_id: new.oauth_client_id,
        status: ProductStatus::Active,
    };
    let slug = new.slug;
    let create = async move |tx: &Transaction<'_>| {
        let made = flow::create(tx, &caller, &slug, &fields).await?;
        once.keep(tx, Created(made)).await
    };
    tenancy.control.run_tx(&origin.operation("tenancy.create_product"), create).await
}

async fn change(
    State(tenancy): State<TenancyAdmin>,
    ProductAdministrator(caller): ProductAdministrator,
    Extension(origin): Extension<Origin>,
    once: Once,
    seen: IfMatch,
    Segment(slug): Segment,
    Body(change): Body<ProductChange>,
) -> Result<Tagged<Product>, Problem> {
    let change = async move |tx: &Transaction<'_>| {
        let before = flow::lock(tx, &caller, &slug).await?;
        seen.require(&ETag::new(&before.version))?;
        let after = flow::change(tx, &before, change.clone()).await?;
        once.keep(tx, tagged(after)).await
    };
    tenancy.control.run_tx(&origin.operation("tenancy.change_product"), change).await
}

async fn delete(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(slug): Segment,
) -> Result<NoContent, Problem> {
    let delete = async move |tx: &Transaction<'_>| {
        flow::delete(tx, &caller, &slug).await?;
        Ok::<_, Problem>(NoContent)
    };
    tenancy.control.run_tx(&origin.operation("tenancy.delete_product"), delete).await
}
