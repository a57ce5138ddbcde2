//! Who may use a product of a tenant, in which role.

use std::borrow::Cow;
use std::str::FromStr;

use rowhouse_kernel::{Caller, TenantId};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio_postgres::Client;
use uuid::Uuid;

use super::input::check_end;
use super::record::{Change, record};
use super::tenant;
use crate::error::TenancyError;
use crate::permission::Permission;
use crate::store::entitlement::{self as store, Entitlement, Grant};
use crate::store::invitation::ProductOffer;
use crate::store::member::{Group, OWNER};
use crate::store::product::{self, Product, ProductRole};
use crate::store::tenant_product;

/// Instead of a user's id.
pub(crate) const ALL: &str = "all";

/// Who has an entitlement, as in a path: a user's id, or `all` for all members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder(Option<Uuid>);

impl Holder {
    /// The only user, if it is one.
    pub(crate) const fn user(self) -> Option<Uuid> {
        self.0
    }
}

impl FromStr for Holder {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        if text == ALL { Ok(Self(None)) } else { text.parse().map(|user| Self(Some(user))) }
    }
}

impl JsonSchema for Holder {
    fn schema_name() -> Cow<'static, str> {
        "EntitlementHolder".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A user's id, or all",
            "anyOf": [{ "type": "string", "format": "uuid" }, { "const": ALL }],
        })
    }
}

/// What is to be given, to whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewEntitlement<'a> {
    /// The product's slug.
    pub(crate) product: &'a str,
    /// A member of the tenant; all members if it is `None`.
    pub(crate) user: Option<Uuid>,
    pub(crate) role: ProductRole,
    pub(crate) expires_at: Option<OffsetDateTime>,
}

/// Gives a role in a product that the tenant has enabled, or changes role and end of what was given before.
pub(crate) async fn grant(
    tx: &Client,
    caller: &Caller,
    id: TenantId,
    new: &NewEntitlement<'_>,
    now: OffsetDateTime,
) -> Result<Entitlement, TenancyError> {
    let tenant = tenant::lock(tx, caller, id, Permission::TenantApps).await?;
    check_end(new.expires_at, now)?;
    let product = find_product(tx, new.product).await?;
    if !product.is_active() {
        return Err(TenancyError::ProductRetired);
    }
    let before = store::find(tx, id, product.id, new.user).await?;
    require_role(tx, caller, id, (new.product, new.role.name())).await?;
    if let Some(before) = &before {
        require_role(tx, caller, id, (new.product, &before.role)).await?;
    }
    let covers = |before: &Entitlement| before.expires_at.is_none() && new.expires_at.is_none();
    if !before.as_ref().is_some_and(covers) {
        require_common(tx, caller, id, &product, new.user).await?;
    }
    let given = Grant {
        tenant: id,
        product: product.id,
        user: new.user,
        role: new.role,
        expires_at: new.expires_at,
        by: None,
    };
    store::put(tx, &given).await?;
    let after = get(tx, id, &product, new.user).await?;
    let action = if before.is_some() { "entitlement_changed" } else { "entitlement_granted" };
    let before = before.map(|before| json!({ "role": before.role, "expires_at": before.expires_at }));
    let details = json!({ "role": after.role, "expires_at": after.expires_at, "before": before });
    record_entitlement(tx, action, Group::from(&tenant), &after, details).await?;
    Ok(after)
}

/// Takes it back; who is signed in to the product's application through it alone is signed out.
pub(crate) async fn revoke(
    tx: &Client,
    caller: &Caller,
    id: TenantId,
    (slug, user): (&str, Option<Uuid>),
) -> Result<(), TenancyError> {
    let tenant = tenant::lock(tx, caller, id, Permission::TenantApps).await?;
    let product = find_product(tx, slug).await?;
    let given = get(tx, id, &product, user).await?;
    require_role(tx, caller, id, (slug, &given.role)).await?;
    require_common(tx, caller, id, &product, user).await?;
    store::remove(tx, given.id).await?;
    product::end_sessions(tx, product.id, Some(id.0), user).await?;
    let details = json!({ "role": given.role });
    record_entitlement(tx, "entitlement_revoked", Group::from(&tenant), &given, details).await
}

/// Gives a member what an invitation offers, unless he has the product, or a stronger role in it as all members have, or the
/// tenant has not enabled it any more.
pub(crate) async fn give(
    tx: &Client,
    group: Group,
    user: Uuid,
    offer: &ProductOffer,
    (by, how): (&str, &Value),
) -> Result<(), TenancyError> {
    let id = TenantId(offer.tenant_id);
    if !tenant_product::is_enabled(tx, id, &offer.product).await? {
        return Ok(());
    }
    let product = find_product(tx, &offer.product).await?;
    if store::find(tx, id, product.id, Some(user)).await?.is_some() {
        return Ok(());
    }
    // One of his own would take the place of what all have.
    let common = store::common_role(tx, id, product.id).await?;
    let common: Option<ProductRole> = common.and_then(|role| role.parse().ok());
    if common.is_some_and(|common| common.rank() > offer.role.rank()) {
        return Ok(());
    }
    let given = Grant {
        tenant: id,
        product: product.id,
        user: Some(user),
        role: offer.role,
        expires_at: None,
        by: Some(by),
    };
    store::put(tx, &given).await?;
    let made = get(tx, id, &product, Some(user)).await?;
    let mut details = how.clone();
    details["role"] = json!(offer.role);
    record_entitlement(tx, "entitlement_granted", group, &made, details).await
}

async fn find_product(client: &Client, slug: &str) -> Result<Product, TenancyError> {
    product::find(client, slug).await?.ok_or(TenancyError::Missing("product"))
}

async fn get(
    client: &Client,
    tenant: TenantId,
    product: &Product,
    user: Option<Uuid>,
) -> Result<Entitlement, TenancyError> {
    let found = store::find(client, tenant, product.id, user).await?;
    found.ok_or(TenancyError::Missing("entitlement"))
}

/// Requires that the caller may give and take the role in a product: nobody rises, or lowers those above.
pub(crate) async fn require_role(
    client: &Client,
    caller: &Caller,
    tenant: TenantId,
    (product, role): (&str, &str),
) -> Result<(), TenancyError> {
    if caller.is_service() {
        return Ok(());
    }
    let refusal = match (caller.user, caller.api_key) {
        (Some(user), _) => store::refusal(client, user, tenant, (product, role)).await?,
        (None, Some(key)) => store::refusal_by_key(client, key, tenant, role).await?,
        (None, None) => return Err(TenancyError::Denied(Permission::TenantApps)),
    };
    match refusal.as_deref() {
        None => Ok(()),
        Some(OWNER) => Err(TenancyError::OwnersOnly),
        Some("permissions:modify") => Err(TenancyError::Denied(Permission::PermissionsModify)),
        Some(_) => Err(TenancyError::Denied(Permission::TenantApps)),
    }
}

/// Requires the same of what all members have, where a user's own takes its place or gives it back.
async fn require_common(
    tx: &Client,
    caller: &Caller,
    tenant: TenantId,
    product: &Product,
    user: Option<Uuid>,
) -> Result<(), TenancyError> {
    if user.is_none() {
        return Ok(());
    }
    match store::common_role(tx, tenant, product.id).await? {
        Some(role) => require_role(tx, caller, tenant, (&product.slug, &role)).await,
        None => Ok(()),
    }
}

/// About the user; what all members have is about the tenant.
async fn record_entitlement(
    tx: &Client,
    action: &str,
    group: Group,
    entitlement: &Entitlement,
    mut details: Value,
) -> Result<(), TenancyError> {
    details["product"] = json!(entitlement.product);
    let tenant = group.tenant.map(|tenant| tenant.to_string()).unwrap_or_default();
    let user = entitlement.user_id.map(|user| user.to_string());
    let target = user.as_deref().map_or(("tenant", &*tenant), |user| ("user", user));
    Ok(record(tx, Change { action, target, group, details }).await?)
}
