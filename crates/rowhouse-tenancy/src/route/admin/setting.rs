//! `/admin/v1/tenants/{tenant}/settings`: values of a type, and secrets, which are never shown again.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, FromRef, State};
use rowhouse_crypto::Envelope;
use rowhouse_db::{Control, Transaction};
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::{get_with, put_with};
use rowhouse_http::api::{
    Body, ETag, IfMatch, NoContent, Problem, Routes, Segment, Segments, Tagged, operation,
};
use rowhouse_kernel::{Origin, SharedRng, TenantId, new_id};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::flow::setting::{self as flow, Sealer};
use crate::flow::tenant;
use crate::permission::Permission;
use crate::store::setting::{self as store, Setting, SettingKind};

/// State of the routes.
#[derive(Clone)]
pub(crate) struct SettingAdmin {
    pub(crate) control: Control,
    pub(crate) envelope: Arc<Envelope>,
    pub(crate) rng: SharedRng,
}

impl FromRef<SettingAdmin> for Control {
    fn from_ref(admin: &SettingAdmin) -> Self {
        admin.control.clone()
    }
}

/// The paths below `/admin/v1/tenants`.
pub(crate) fn in_tenant() -> Routes<SettingAdmin> {
    let listed = operation(
        "listSettings",
        "All settings of a tenant, secrets without their values; needs tenant:update",
        &[400, 404],
    );
    let put = operation(
        "putSetting",
        "Make or replace a setting, in the version that was seen if If-Match names one; needs tenant:update",
        &[400, 404, 412, 422],
    );
    let removed = operation("removeSetting", "Remove a setting; needs tenant:update", &[400, 404]);
    Routes::default()
        .at("/{tenant}/settings", get_with(list, listed))
        .at("/{tenant}/settings/{name}", put_with(replace, put).delete_with(remove, removed))
}

/// All settings of a tenant, by name.
#[derive(Serialize, JsonSchema)]
struct Settings {
    items: Vec<Setting>,
}

async fn list(
    State(admin): State<SettingAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
) -> Result<Json<Settings>, Problem> {
    let list =
        async move |client: &Client| Ok::<_, Problem>(flow::list(client, &caller, TenantId(id)).await?);
    let items = admin.control.statement(&origin.operation("tenancy.list_settings"), list).await?;
    Ok(Json(Settings { items }))
}

/// Body of a setting.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SettingBody {
    kind: SettingKind,
    /// Of that type; a secret is a text.
    value: Value,
}

async fn replace(
    State(admin): State<SettingAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    seen: IfMatch,
    Segments(id, name): Segments<Uuid, String>,
    Body(body): Body<SettingBody>,
) -> Result<Tagged<Setting>, Problem> {
    let new_id = new_id(&*origin.clock, &*admin.rng);
    let sealer = Sealer { envelope: Arc::clone(&admin.envelope), rng: Arc::clone(&admin.rng) };
    let put = async move |tx: &Transaction<'_>| {
        let id = TenantId(id);
        tenant::lock(tx, &caller, id, Permission::TenantUpdate).await?;
        if let Some(before) = store::find(tx, id, &name).await? {
            seen.allow(&ETag::new(&before.version))?;
        }
        let content = (body.kind, &body.value);
        let setting = flow::put(tx, &caller, (id, &name), content, (sealer.clone(), new_id)).await?;
        let version = ETag::new(&setting.version);
        Ok::<_, Problem>(Tagged(setting, version))
    };
    admin.control.run_tx(&origin.operation("tenancy.put_setting"), put).await
}

async fn remove(
    State(admin): State<SettingAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segments(id, name): Segments<Uuid, String>,
) -> Result<NoContent, Problem> {
    let remove = async move |tx: &Transaction<'_>| {
        flow::remove(tx, &caller, TenantId(id), &name).await?;
        Ok::<_, Problem>(NoContent)
    };
    admin.control.run_tx(&origin.operation("tenancy.remove_setting"), remove).await
}
