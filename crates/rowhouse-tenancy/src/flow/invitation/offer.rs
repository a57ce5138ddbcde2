//! What an invitation gives: nobody offers what he could not give himself.

use rowhouse_kernel::{Caller, OrganizationId, TenantId};
use tokio_postgres::Client;

use super::InvitationError;
use crate::error::TenancyError;
use crate::flow::entitlement;
use crate::flow::member::require_grantable;
use crate::permission::{Permission, Scope, require};
use crate::store::invitation::{Invitation, ProductOffer, TenantOffer};
use crate::store::member::Group;
use crate::store::{role, tenant, tenant_product};

/// Most tenants, and most products, of an invitation.
const MOST: usize = 50;

/// What is offered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer<'a> {
    /// The role in the organization.
    pub(super) role: &'a str,
    pub(super) tenants: &'a [TenantOffer],
    pub(super) products: &'a [ProductOffer],
}

impl<'a> From<&'a Invitation> for Offer<'a> {
    fn from(invitation: &'a Invitation) -> Self {
        let Invitation { role, tenants, products, .. } = invitation;
        Self { role, tenants, products }
    }
}

/// Requires the caller to be able to give all of it in a locked organization.
pub(super) async fn require_offer(
    tx: &Client,
    caller: &Caller,
    organization: OrganizationId,
    offer: &Offer<'_>,
) -> Result<(), InvitationError> {
    check_form(offer)?;
    require_role(tx, caller, Group::organization(organization), offer.role).await?;
    for TenantOffer { tenant_id, role } in offer.tenants {
        let found = tenant::find(tx, TenantId(*tenant_id)).await?;
        if found.is_none_or(|tenant| tenant.organization_id != organization.0) {
            return Err(invalid(&format!("tenants: {tenant_id} is no tenant of this organization")));
        }
        require_role(tx, caller, Group { organization, tenant: Some(TenantId(*tenant_id)) }, role).await?;
    }
    for ProductOffer { tenant_id, product, role } in offer.products {
        let id = TenantId(*tenant_id);
        let permission = Permission::TenantApps;
        require(tx, caller, Scope::Tenant(id), permission).await.map_err(TenancyError::from)?;
        if !tenant_product::is_enabled(tx, id, product).await? {
            return Err(invalid(&format!("products: the tenant has not enabled {product:.80}")));
        }
        entitlement::require_role(tx, caller, id, (product, role.name())).await?;
    }
    Ok(())
}

/// What does not depend on the database.
fn check_form(offer: &Offer<'_>) -> Result<(), InvitationError> {
    let Offer { tenants, products, .. } = *offer;
    if tenants.len() > MOST || products.len() > MOST {
        return Err(invalid(&format!("at most {MOST} tenants and {MOST} products")));
    }
    let tenant_ids: Vec<_> = tenants.iter().map(|tenant| tenant.tenant_id).collect();
    if has_repeated(&tenant_ids) {
        return Err(invalid("tenants: each once"));
    }
    let product_ids: Vec<_> =
        products.iter().map(|product| (product.tenant_id, product.product.as_str())).collect();
    if has_repeated(&product_ids) {
        return Err(invalid("products: each once in a tenant"));
    }
    if products.iter().any(|product| !tenant_ids.contains(&product.tenant_id)) {
        return Err(invalid("products: of tenants of the invitation only"));
    }
    Ok(())
}

fn has_repeated<T: PartialEq>(items: &[T]) -> bool {
    items.iter().enumerate().any(|(at, item)| items[..at].contains(item))
}

async fn require_role(tx: &Client, caller: &Caller, group: Group, name: &str) -> Result<(), InvitationError> {
    role::find(tx, group.organization, name).await?.ok_or(TenancyError::NoSuchRole)?;
    Ok(require_grantable(tx, caller, group, name).await?)
}

fn invalid(why: &str) -> InvitationError {
    TenancyError::Invalid(why.to_owned()).into()
}
