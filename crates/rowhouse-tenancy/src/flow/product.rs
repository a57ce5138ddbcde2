//! The products of the installation, which operators make; what tenants do with them is left to `tenant_product` and
//! `entitlement`.

use rowhouse_audit::Entry;
use rowhouse_kernel::Caller;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use super::input::{check_name, check_slug, check_text, check_url};
use super::may_everywhere;
use crate::error::TenancyError;
use crate::permission::{Permission, Scope, require};
use crate::store::product::{self as store, Product, ProductFields, ProductStatus};

/// Most scopes of a product.
const MOST_SCOPES: usize = 50;
/// Longest scope.
const MAX_SCOPE: usize = 100;

/// A change of a product: what is left out stays.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProductChange {
    #[schemars(length(min = 1, max = 200))]
    pub(crate) name: Option<String>,
    #[schemars(length(max = 500))]
    pub(crate) description: Option<String>,
    /// null removes it.
    #[serde(default, deserialize_with = "given")]
    pub(crate) icon_url: Option<Option<String>>,
    /// null removes it.
    #[serde(default, deserialize_with = "given")]
    pub(crate) launcher_url: Option<Option<String>>,
    #[schemars(length(max = 50))]
    pub(crate) scopes: Option<Vec<String>>,
    /// null removes it, so that nobody needs an entitlement for the application any more.
    #[serde(default, deserialize_with = "given")]
    pub(crate) oauth_client_id: Option<Option<Uuid>>,
    pub(crate) status: Option<ProductStatus>,
}

/// A field that is given, be it null.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// Requires a caller who administers products: a super_admin or the service key.
pub(crate) async fn require_administration(client: &Client, caller: &Caller) -> Result<(), TenancyError> {
    Ok(require(client, caller, Scope::Installation, Permission::TenantApps).await?)
}

/// Makes a product.
pub(crate) async fn create(
    tx: &Client,
    caller: &Caller,
    slug: &str,
    fields: &ProductFields,
) -> Result<Product, TenancyError> {
    require_administration(tx, caller).await?;
    check_slug(slug)?;
    check(tx, fields).await?;
    let made = store::create(tx, slug, fields).await?;
    record_product(tx, "product_created", slug, json!({ "oauth_client_id": made.oauth_client_id })).await?;
    Ok(made)
}

/// Whether the caller sees retired products, too.
pub(crate) async fn sees_all(client: &Client, caller: &Caller) -> Result<bool, TenancyError> {
    may_everywhere(client, caller, Permission::TenantView).await
}

/// The product, if the caller sees it.
pub(crate) async fn get(client: &Client, caller: &Caller, slug: &str) -> Result<Product, TenancyError> {
    let found = store::find(client, slug).await?.ok_or(TenancyError::Missing("product"))?;
    if found.is_active() || sees_all(client, caller).await? {
        return Ok(found);
    }
    Err(TenancyError::Missing("product"))
}

/// The product, locked for who administers it.
pub(crate) async fn lock(tx: &Client, caller: &Caller, slug: &str) -> Result<Product, TenancyError> {
    require_administration(tx, caller).await?;
    store::lock(tx, slug).await?.ok_or(TenancyError::Missing("product"))
}

/// Changes a locked product. Who is signed in to the application of a retired one is signed out.
pub(crate) async fn change(
    tx: &Client,
    before: &Product,
    change: ProductChange,
) -> Result<Product, TenancyError> {
    let fields = merged(before, change);
    check(tx, &fields).await?;
    let after = store::change(tx, &before.slug, &fields).await?.ok_or(TenancyError::Missing("product"))?;
    if !after.is_active() {
        store::end_sessions(tx, after.id, None, None).await?;
    }
    let details = json!({
        "before": { "status": before.status, "oauth_client_id": before.oauth_client_id },
        "after": { "status": after.status, "oauth_client_id": after.oauth_client_id },
    });
    record_product(tx, "product_changed", &after.slug, details).await?;
    Ok(after)
}

/// Deletes a product that no tenant has enabled.
pub(crate) async fn delete(tx: &Client, caller: &Caller, slug: &str) -> Result<(), TenancyError> {
    lock(tx, caller, slug).await?;
    store::delete(tx, slug).await?;
    record_product(tx, "product_deleted", slug, json!({})).await
}

fn merged(before: &Product, change: ProductChange) -> ProductFields {
    let before = before.clone();
    let status = if before.is_active() { ProductStatus::Active } else { ProductStatus::Retired };
    ProductFields {
        name: change.name.unwrap_or(before.name),
        description: change.description.unwrap_or(before.description),
        icon_url: change.icon_url.unwrap_or(before.icon_url),
        launcher_url: change.launcher_url.unwrap_or(before.launcher_url),
        scopes: change.scopes.unwrap_or(before.scopes),
        oauth_client_id: change.oauth_client_id.unwrap_or(before.oauth_client_id),
        status: change.status.unwrap_or(status),
    }
}

async fn check(client: &Client, fields: &ProductFields) -> Result<(), TenancyError> {
    check_name(&fields.name)?;
    check_text("description", &fields.description)?;
    for (name, url) in [("icon_url", &fields.icon_url), ("launcher_url", &fields.launcher_url)] {
        url.as_deref().map(|url| check_url(name, url)).transpose()?;
    }
    check_scopes(&fields.scopes)?;
    match fields.oauth_client_id {
        Some(id) if !store::is_application(client, id).await? => {
            Err(invalid("oauth_client_id: no application that an administrator has registered"))
        }
        _ => Ok(()),
    }
}

/// As RFC 6749 section 3.3 has them.
fn check_scopes(scopes: &[String]) -> Result<(), TenancyError> {
    let is_token = |scope: &String| {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        (1..=MAX_SCOPE).contains(&scope.len()) && scope.bytes().all(is_plain)
    };
    let is_repeated = |(at, scope): (usize, &String)| scopes[..at].contains(scope);
    let fits = scopes.len() <= MOST_SCOPES
        && scopes.iter().all(is_token)
        && !scopes.iter().enumerate().any(is_repeated);
    if fits { Ok(()) } else { Err(invalid("scopes: at most 50 scopes of OAuth, each once")) }
}

fn invalid(why: &str) -> TenancyError {
    TenancyError::Invalid(why.to_owned())
}

/// Of no organization.
async fn record_product(tx: &Client, action: &str, slug: &str, details: Value) -> Result<(), TenancyError> {
    let details = details.as_object().cloned().unwrap_or_default();
    let entry = Entry {
        source: "tenancy",
        action,
        target_kind: "product",
        target_id: slug,
        tenant: None,
        details: details.clone(),
    };
    rowhouse_audit::write(tx, entry).await?;
    let mut payload = details;
    payload.insert("product".to_owned(), slug.into());
    rowhouse_event::emit(tx, &format!("tenancy.{action}"), None, &Value::Object(payload)).await?;
    Ok(())
}
