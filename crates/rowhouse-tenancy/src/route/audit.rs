//! `/admin/v1/audit` and `/admin/v1/organizations/{organization}/audit`: the audit log in pages and as exports, for those with
//! `identity:audit` there.

mod export;
mod query;

use axum::Json;
use axum::extract::{Extension, FromRef, State};
use rowhouse_audit::{Position, Record};
use rowhouse_db::Control;
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::get_with;
use rowhouse_http::api::{Page, Params, Problem, Routes, Segment, limit, operation};
use rowhouse_kernel::{OrganizationId, Origin};
use rowhouse_module::Assembly;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::permission::{Permission, Scope, require};
use crate::slot::Slots;
use export::Exported;
use query::{AuditExportQuery, AuditQuery};

/// Longest page.
const MOST_LISTED: u32 = 1000;
/// Exports at once of one organization, or of all.
const EXPORTS_OF_ONE: usize = 2;
/// Exports at once altogether; each holds two pieces in memory.
const EXPORTS: usize = 32;

/// State of the routes.
#[derive(Clone)]
pub(crate) struct AuditAdmin {
    control: Control,
    slots: Slots,
}

impl FromRef<AuditAdmin> for Control {
    fn from_ref(audit: &AuditAdmin) -> Self {
        audit.control.clone()
    }
}

/// Adds the routes to the process.
pub(crate) fn serve(assembly: &mut Assembly) {
    let control = assembly.origin.database.control.clone();
    let admin = AuditAdmin { control, slots: Slots::new(EXPORTS_OF_ONE, EXPORTS) };
    assembly.admin("/audit", routes, admin.clone());
    assembly.admin("/organizations", routes_of_organizations, admin);
}

/// The paths below `/admin/v1/audit`.
fn routes() -> Routes<AuditAdmin> {
    let listed = operation(
        "listAudit",
        "Entries of the audit log, newest first; for the service key and operators with identity:audit",
        &[400, 422],
    );
    let exported = operation(
        "exportAudit",
        "The same as a file of any size; for the service key and operators with identity:audit",
        &[400, 422, 429],
    );
    Routes::default().at("/", get_with(list_all, listed)).at("/export", get_with(export_all, exported))
}

/// The paths below `/admin/v1/organizations`.
fn routes_of_organizations() -> Routes<AuditAdmin> {
    let listed = operation(
        "listOrganizationAudit",
        "Entries of the audit log about an organization, newest first; needs identity:audit",
        &[400, 422],
    );
    let exported = operation(
        "exportOrganizationAudit",
        "The same as a file of any size; needs identity:audit",
        &[400, 422, 429],
    );
    Routes::default()
        .at("/{organization}/audit", get_with(list_one, listed))
        .at("/{organization}/audit/export", get_with(export_one, exported))
}

async fn list_all(
    State(audit): State<AuditAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Params(query): Params<AuditQuery>,
) -> Result<Json<Page<Record>>, Problem> {
    list(&audit, caller, &origin, Scope::Installation, query).await
}

async fn list_one(
    State(audit): State<AuditAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
    Params(query): Params<AuditQuery>,
) -> Result<Json<Page<Record>>, Problem> {
    list(&audit, caller, &origin, Scope::Organization(OrganizationId(id)), query).await
}

async fn list(
    audit: &AuditAdmin,
    caller: LiveCaller,
    origin: &Origin,
    scope: Scope,
    query: AuditQuery,
) -> Result<Json<Page<Record>>, Problem> {
    let (filter, limit) = (query.filter(scope)?, limit(query.limit, MOST_LISTED)?);
    let after = query.cursor.map(|cursor| cursor.position::<Position>()).transpose()?;
    let read = async move |client: &Client| {
        require(client, &caller, scope, Permission::IdentityAudit).await?;
        Ok::<_, Problem>(rowhouse_audit::list(client, &filter, after.as_ref(), limit).await?)
    };
    let entries = audit.control.statement(&origin.operation("tenancy.list_audit"), read).await?;
    Ok(Json(Page::new(entries, limit, Record::position)))
}

async fn export_all(
    State(audit): State<AuditAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Params(query): Params<AuditExportQuery>,
) -> Result<Exported, Problem> {
    export::begin(&audit, caller, origin, Scope::Installation, &query).await
}

async fn export_one(
    State(audit): State<AuditAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
    Params(query): Params<AuditExportQuery>,
) -> Result<Exported, Problem> {
    export::begin(&audit, caller, origin, Scope::Organization(OrganizationId(id)), &query).await
}
