//! Routes below `/admin/v1`.

pub(crate) mod bootstrap;
pub(crate) mod bulk;
pub(crate) mod impersonation;
mod problem;
mod result;
pub(crate) mod user;

use axum::extract::FromRef;
use rowhouse_auth::Auth;
use rowhouse_db::Control;
use rowhouse_http::limit::AddressLimit;
use rowhouse_kernel::SharedRng;

use crate::settings::Assurance;

/// Most items of a page.
const MOST_LISTED: u32 = 1000;

/// State of the routes of users and bulk jobs.
#[derive(Clone)]
pub(crate) struct OperatorAdmin {
    pub(crate) control: Control,
    pub(crate) rng: SharedRng,
    /// What a session needs to begin or retry a bulk job, or to read its results.
    pub(crate) bulk_aal: Assurance,
}

impl FromRef<OperatorAdmin> for Control {
    fn from_ref(operator: &OperatorAdmin) -> Self {
        operator.control.clone()
    }
}

/// State of the routes of impersonations.
#[derive(Clone)]
pub(crate) struct ImpersonationAdmin {
    pub(crate) control: Control,
    pub(crate) rng: SharedRng,
    pub(crate) auth: Auth,
    pub(crate) aal: Assurance,
    /// Unknown codes per client address.
    pub(crate) tries: AddressLimit,
}

impl FromRef<ImpersonationAdmin> for Control {
    fn from_ref(operator: &ImpersonationAdmin) -> Self {
        operator.control.clone()
    }
}
