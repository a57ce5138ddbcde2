//! `/admin/v1/organizations/{organization}/api-keys`: keys of the organization's services.

use axum::Json;
use axum::extract::{Extension, FromRef, State};
use rowhouse_db::{Control, Transaction};
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::{delete_with, get_with};
use rowhouse_http::api::{
    Body, Created, Cursor, NoContent, Once, Page, Params, Problem, Routes, Segment, Segments, limit,
    operation,
};
use rowhouse_kernel::{ApiKeyId, OrganizationId, Origin, SharedRng, TenantId, new_id};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;
use uuid::Uuid;

use super::MOST_LISTED;
use super::instant::read_end;
use super::may::{May, ModifyKeys};
use crate::flow::{api_key as flow, organization};
use crate::permission::Permission;
use crate::store::api_key::{self as store, ApiKey, NewApiKey};

/// State of the routes.
#[derive(Clone)]
pub(crate) struct ApiKeyAdmin {
    pub(crate) control: Control,
    pub(crate) rng: SharedRng,
}

impl FromRef<ApiKeyAdmin> for Control {
    fn from_ref(admin: &ApiKeyAdmin) -> Self {
        admin.control.clone()
    }
}

/// The paths below `/admin/v1/organizations`.
pub(crate) fn routes() -> Routes<ApiKeyAdmin> {
    let listed = operation("listApiKeys", "List keys, the newest first; needs permissions:view", &[400, 404]);
    let created = operation(
        "createApiKey",
        "Make a key, which is shown this once; needs permissions:modify, and every permission among its scopes",
        &[400, 404, 409, 422],
    );
    let revoked = operation(
        "revokeApiKey",
        "Revoke a key, which is refused from the next request on; needs permissions:modify",
        &[400, 404],
    );
    Routes::default()
        .at("/{organization}/api-keys", get_with(list, listed).post_with(create, created))
        .at("/{organization}/api-keys/{api_key}", delete_with(revoke, revoked))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct KeysQuery {
    /// Where the page begins: `next` of the one before.
    cursor: Option<Cursor>,
    /// 1 to 1000; 50 if not given.
    limit: Option<u32>,
}

async fn list(
    State(admin): State<ApiKeyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
    Params(query): Params<KeysQuery>,
) -> Result<Json<Page<ApiKey>>, Problem> {
    let (id, limit) = (OrganizationId(id), limit(query.limit, MOST_LISTED)?);
    let before = query.cursor.map(|cursor| cursor.position::<Uuid>()).transpose()?;
    let list = async move |client: &Client| {
        organization::get(client, &caller, id, Permission::PermissionsView).await?;
        Ok::<_, Problem>(store::list(client, id, before, limit).await?)
    };
    let keys = admin.control.statement(&origin.operation("tenancy.list_api_keys"), list).await?;
    Ok(Json(Page::new(keys, limit, |key| key.id)))
}

/// Body of a new key.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewApiKey")]
struct NewBody {
    /// What it is for.
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// Permissions that it gets, each once.
    scopes: Vec<Permission>,
    /// The only tenant in which it counts; all, and the organization itself, if it is not given.
    tenant_id: Option<Uuid>,
    /// Until when; without end if it is not given.
    #[schemars(extend("format" = "date-time"))]
    expires_at: Option<String>,
}

/// A key that has been made.
#[derive(Serialize, JsonSchema)]
struct Issued {
    #[serde(flatten)]
    api_key: ApiKey,
    /// `rhk_` and 43 characters, to be sent as a bearer token. Null in the answer to a repeated request.
    key: Option<String>,
}

async fn create(
    State(admin): State<ApiKeyAdmin>,
    May(caller, ..): May<ModifyKeys>,
    Extension(origin): Extension<Origin>,
    once: Once,
    Segment(id): Segment<Uuid>,
    Body(body): Body<NewBody>,
) -> Result<Created<Issued>, Problem> {
    let expires_at = body.expires_at.as_deref().map(read_end).transpose()?;
    let secret = rowhouse_crypto::ApiKey::generate(&*admin.rng);
    let (key_id, now) = (new_id(&*origin.clock, &*admin.rng), origin.clock.now());
    let text = secret.expose().to_owned();
    let create = async move |tx: &Transaction<'_>| {
        let new = NewApiKey {
            id: ApiKeyId(key_id),
            organization: OrganizationId(id),
            tenant: body.tenant_id.map(TenantId),
            name: &body.name,
            scopes: &body.scopes,
            expires_at,
        };
        let api_key = flow::create(tx, &caller, &new, &secret, now).await?;
        // Stored without the key, which would be readable there for a day.
        once.keep(tx, Created(Issued { api_key, key: None })).await
    };
    let made = admin.control.run_tx(&origin.operation("tenancy.create_api_key"), create).await?;
    Ok(Created(Issued { key: Some(text), ..made.0 }))
}

async fn revoke(
    State(admin): State<ApiKeyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segments(id, key): Segments<Uuid, Uuid>,
) -> Result<NoContent, Problem> {
    let revoke = async move |tx: &Transaction<'_>| {
        flow::revoke(tx, &caller, OrganizationId(id), ApiKeyId(key)).await?;
        Ok::<_, Problem>(NoContent)
    };
    admin.control.run_tx(&origin.operation("tenancy.revoke_api_key"), revoke).await
}
