//! `/admin/v1`: the tree of organizations, for users with the permission that each route requires, for operators, and for
//! the service key.

mod api_key;
mod branding;
mod entitlement;
mod instant;
mod invitation;
mod join;
mod list;
mod may;
mod me;
mod member;
mod organization;
mod place;
mod plan;
mod problem;
mod product;
mod quota;
mod role;
mod setting;
mod step;
mod tenant;
mod tenant_product;

use axum::extract::FromRef;
use rowhouse_db::Control;

use crate::settings::TenancySettings;

pub(crate) use api_key::{ApiKeyAdmin, routes as api_keys};
pub(crate) use branding::{in_tenant as brandings, public as public_branding};
pub(crate) use invitation::{InvitationAdmin, in_organization as invitations, of_token as invitation_tokens};
pub(crate) use join::routes as joins;
pub(crate) use me::{me, permissions};
pub(crate) use organization::organizations;
pub(crate) use plan::plans;
pub(crate) use product::products;
pub(crate) use quota::in_tenant as quotas;
pub(crate) use setting::{SettingAdmin, in_tenant as settings};
pub(crate) use tenant::tenants;

/// Longest page.
const MOST_LISTED: u32 = 1000;

/// State of the routes.
#[derive(Clone)]
pub(crate) struct TenancyAdmin {
    pub(crate) control: Control,
    pub(crate) settings: std::sync::Arc<TenancySettings>,
}

impl FromRef<TenancyAdmin> for Control {
    fn from_ref(tenancy: &TenancyAdmin) -> Self {
        tenancy.control.clone()
    }
}
