//! `/admin/v1/tenants/{tenant}/provisioning`.

use axum::Json;
use axum::extract::{Extension, FromRef, State};
use rowhouse_db::{Control, DbError, Transaction};
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::get_with;
use rowhouse_http::api::{Problem, Routes, Segment, operation};
use rowhouse_kernel::{Caller, Origin, TenantId};
use rowhouse_tenancy::permission::{Permission, PermissionError, Scope, require};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::store;

/// State of the routes.
#[derive(Clone)]
pub(crate) struct ProvisionAdmin {
    pub(crate) control: Control,
}

impl FromRef<ProvisionAdmin> for Control {
    fn from_ref(admin: &ProvisionAdmin) -> Self {
        admin.control.clone()
    }
}

/// The paths below `/admin/v1/tenants`.
pub(crate) fn routes() -> Routes<ProvisionAdmin> {
    let shown =
        operation("getProvisioning", "How far a tenant's provisioning is; needs tenant:view", &[400, 404]);
    let begun = operation(
        "provisionTenant",
        "Provision a tenant that was not, or again after a rollback; answers how far it is; needs tenant:update",
        &[400, 404, 409],
    );
    let undone = operation(
        "undoProvisioning",
        "Roll back a provisioning that is not done, and remove the tenant if it is new; needs organization:delete",
        &[400, 404, 409],
    );
    Routes::default()
        .at("/{tenant}/provisioning", get_with(show, shown).post_with(begin, begun).delete_with(undo, undone))
}

/// The provisioning of a tenant.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Provisioning {
    tenant_id: Uuid,
    organization_id: Uuid,
    status: RunStatus,
    /// Whether the tenant was made for it, so that a rollback removes it.
    is_new: bool,
    /// Who asked for it: a user's id, a role, `operator:NAME` or `sql:LOGIN`.
    requested_by: String,
    /// Runs of the job.
    attempts: u32,
    /// Why the last of them failed.
    error: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    updated_at: String,
    /// When it was done or undone.
    #[schemars(extend("format" = "date-time"))]
    finished_at: Option<String>,
    steps_done: u32,
    steps_total: u32,
    /// In their order; a rollback takes them back in reverse.
    steps: Vec<ShownStep>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum RunStatus {
    Pending,
    Running,
    Done,
    /// Being rolled back.
    Undoing,
    /// Rolled back.
    Undone,
}

/// A step.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ProvisioningStep")]
struct ShownStep {
    /// `records`, `roles`, `defaults`, `storage`, `hook` or `welcome`.
    name: String,
    /// `pending`, `begun`, `done` or `undone`.
    status: String,
    attempts: u32,
    /// Why the last try failed.
    error: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    started_at: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    finished_at: Option<String>,
}

async fn allow(
    client: &Client,
    caller: &Caller,
    tenant: Uuid,
    permission: Permission,
) -> Result<(), Problem> {
    let asked = require(client, caller, Scope::Tenant(TenantId(tenant)), permission).await;
    asked.map_err(|error| match error {
        PermissionError::Denied(_) | PermissionError::OperatorsOnly => {
            Problem::forbidden("forbidden", error.to_string())
        }
        PermissionError::Db(error) => error.into(),
    })
}

async fn find(client: &Client, tenant: Uuid) -> Result<Provisioning, Problem> {
    let found = store::find(client, tenant).await?;
    let found = found.ok_or_else(|| Problem::not_found("the tenant was not provisioned"))?;
    let unread = |error: serde_json::Error| DbError::Protocol(format!("a run: {error}").into());
    Ok(serde_json::from_value(found).map_err(unread)?)
}

async fn show(
    State(admin): State<ProvisionAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
) -> Result<Json<Provisioning>, Problem> {
    let show = async move |client: &Client| {
        allow(client, &caller, id, Permission::TenantView).await?;
        find(client, id).await
    };
    admin.control.statement(&origin.operation("provision.find"), show).await.map(Json)
}

async fn begin(
    State(admin): State<ProvisionAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
) -> Result<Json<Provisioning>, Problem> {
    let begin = async move |tx: &Transaction<'_>| {
        allow(tx, &caller, id, Permission::TenantUpdate).await?;
        let has_begun = store::provision(tx, id).await?;
        let run = find(tx, id).await?;
        // What runs or is done already is no conflict: asked for twice, it is done once.
        let is_refused = !has_begun && matches!(run.status, RunStatus::Undoing | RunStatus::Undone);
        if is_refused {
            Err(Problem::conflict("it is being rolled back, or the tenant is closed"))
        } else {
            Ok(run)
        }
    };
    admin.control.run_tx(&origin.operation("provision.provision"), begin).await.map(Json)
}

async fn undo(
    State(admin): State<ProvisionAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
) -> Result<Json<Provisioning>, Problem> {
    let undo = async move |tx: &Transaction<'_>| {
        allow(tx, &caller, id, Permission::OrganizationDelete).await?;
        let has_begun = store::begin_undo(tx, id, "asked for").await?;
        let run = find(tx, id).await?;
        match run.status {
            RunStatus::Done if !has_begun => Err(Problem::conflict("it is done; delete the tenant instead")),
            _ => Ok(run),
        }
    };
    admin.control.run_tx(&origin.operation("provision.undo"), undo).await.map(Json)
}
