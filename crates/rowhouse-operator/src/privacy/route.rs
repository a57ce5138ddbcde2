//! `GET /admin/v1/users/{user}/export` and `GET /admin/v1/tenants/{tenant}/export`: everything about a user, all rows of a tenant.
//! Permission, second factor and entry of the audit log come first.

use axum::extract::{Extension, FromRef, State};
use rowhouse_db::{Control, Transaction};
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::get_with;
use rowhouse_http::api::{Problem, Routes, Segment, operation};
use rowhouse_kernel::{Origin, TenantId};
use rowhouse_tenancy::export::answer::{Exported, Exports, Form, answer};
use rowhouse_tenancy::export::{Subject, note_tenant};
use rowhouse_tenancy::permission::{Permission, Scope, require};
use uuid::Uuid;

use super::store;
use crate::power::require_assurance;
use crate::settings::Assurance;

/// State of the routes.
#[derive(Clone)]
pub(crate) struct PrivacyAdmin {
    pub(crate) control: Control,
    pub(crate) exports: Exports,
    pub(crate) aal: Assurance,
}

impl FromRef<PrivacyAdmin> for Control {
    fn from_ref(admin: &PrivacyAdmin) -> Self {
        admin.control.clone()
    }
}

/// The path below `/admin/v1/users`.
pub(crate) fn of_users() -> Routes<PrivacyAdmin> {
    let exported = operation(
        "exportUser",
        "Everything that is stored about a user; for operators with super_admin and the service key",
        &[400, 404, 422, 429],
    );
    Routes::default().at("/{user}/export", get_with(export_user, exported))
}

/// The path below `/admin/v1/tenants`.
pub(crate) fn of_tenants() -> Routes<PrivacyAdmin> {
    let exported =
        operation("exportTenant", "All rows of a tenant; needs organization:delete", &[400, 404, 422, 429]);
    Routes::default().at("/{tenant}/export", get_with(export_tenant, exported))
}

async fn export_user(
    State(admin): State<PrivacyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    form: Form,
    Segment(user): Segment<Uuid>,
) -> Result<Exported, Problem> {
    let (exports, aal) = (admin.exports, admin.aal);
    let note = async move |tx: &Transaction<'_>| {
        require(tx, &caller, Scope::Installation, Permission::MembersManage).await?;
        require_assurance(tx, &caller, aal).await?;
        if store::find_user(tx, &user.to_string()).await?.is_none() {
            return Err(Problem::not_found("there is no such user"));
        }
        let slot = exports.take(user)?;
        store::note_export(tx, user).await?;
        Ok::<_, Problem>(slot)
    };
    let slot = admin.control.run_tx(&origin.operation("operators.note_export"), note).await?;
    let read = origin.operation("operators.export_user");
    answer(&admin.control, &read, (store::subject(user), form), slot).await
}

async fn export_tenant(
    State(admin): State<PrivacyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    form: Form,
    Segment(tenant): Segment<Uuid>,
) -> Result<Exported, Problem> {
    let (exports, aal) = (admin.exports, admin.aal);
    // Policies of the project are passed over, so it is for those alone who may do everything in the tenant.
    let permission = Permission::OrganizationDelete;
    let note = async move |tx: &Transaction<'_>| {
        require(tx, &caller, Scope::Tenant(TenantId(tenant)), permission).await?;
        require_assurance(tx, &caller, aal).await?;
        let slot = exports.take(tenant)?;
        note_tenant(tx, &caller, TenantId(tenant), permission).await?;
        Ok::<_, Problem>(slot)
    };
    let slot = admin.control.run_tx(&origin.operation("operators.note_export"), note).await?;
    let read = origin.operation("operators.export_tenant");
    answer(&admin.control, &read, (Subject::tenant(TenantId(tenant)), form), slot).await
}
