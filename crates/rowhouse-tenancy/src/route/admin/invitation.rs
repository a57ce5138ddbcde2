//! `/admin/v1/organizations/{organization}/invitations`: who invites. Who is invited comes to `token`.

mod problem;
mod token;

use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, FromRef, State};
use rowhouse_db::{Control, Transaction};
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::{delete_with, get_with, post_with};
use rowhouse_http::api::{
    Body, Created, Cursor, NoContent, Once, Page, Params, Problem, Routes, Segment, Segments, limit,
    operation,
};
use rowhouse_http::limit::AddressLimit;
use rowhouse_kernel::{OrganizationId, Origin, new_id};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_postgres::Client;
use uuid::Uuid;

use super::MOST_LISTED;
use super::may::{Invite, May};
use crate::flow::invitation::{self as flow, Invitations, read_address};
use crate::flow::organization;
use crate::permission::Permission;
use crate::store::invitation::{
    self as store, Invitation, InvitationStatus, NewInvitation, ProductOffer, TenantOffer,
};

pub(crate) use token::of_token;

/// The role of an invitation that names none.
const MEMBER: &str = "member";

/// State of the routes.
#[derive(Clone)]
pub(crate) struct InvitationAdmin {
    pub(crate) control: Control,
    pub(crate) invitations: Invitations,
    /// Unknown tokens per client address.
    pub(crate) tries: AddressLimit,
}

impl FromRef<InvitationAdmin> for Control {
    fn from_ref(admin: &InvitationAdmin) -> Self {
        admin.control.clone()
    }
}

/// The paths below `/admin/v1/organizations`.
pub(crate) fn in_organization() -> Routes<InvitationAdmin> {
    let listed =
        operation("listInvitations", "List invitations, the newest first; needs members:invite", &[400, 404]);
    let created = operation(
        "createInvitation",
        "Invite somebody by a letter; needs members:invite, and every permission of the roles that it gives",
        &[400, 404, 409, 422, 429, 503],
    );
    let resent = operation(
        "resendInvitation",
        "Send the letter again with another token, which replaces the former; needs members:invite",
        &[400, 404, 409, 410, 422, 429, 503],
    );
    let revoked =
        operation("revokeInvitation", "Take an invitation back; needs members:invite", &[400, 404, 409]);
    Routes::default()
        .at("/{organization}/invitations", get_with(list, listed).post_with(create, created))
        .at("/{organization}/invitations/{invitation}", delete_with(revoke, revoked))
        .at("/{organization}/invitations/{invitation}/resend", post_with(resend, resent))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct InvitationsQuery {
    /// All, if it is not given.
    status: Option<InvitationStatus>,
    /// Where the page begins: `next` of the one before.
    cursor: Option<Cursor>,
    /// 1 to 1000; 50 if not given.
    limit: Option<u32>,
}

async fn list(
    State(admin): State<InvitationAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
    Params(query): Params<InvitationsQuery>,
) -> Result<Json<Page<Invitation>>, Problem> {
    let (id, limit) = (OrganizationId(id), limit(query.limit, MOST_LISTED)?);
    let before = query.cursor.map(|cursor| cursor.position::<Uuid>()).transpose()?;
    let list = async move |client: &Client| {
        organization::get(client, &caller, id, Permission::MembersInvite).await?;
        Ok::<_, Problem>(store::list(client, id, query.status, before, limit).await?)
    };
    let found = admin.control.statement(&origin.operation("tenancy.list_invitations"), list).await?;
    Ok(Json(Page::new(found, limit, |invitation| invitation.id)))
}

/// Body of a new invitation.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewInvitation")]
struct NewBody {
    /// The address; only an account with this address, confirmed, can accept.
    #[schemars(length(min = 3, max = 255))]
    email: String,
    /// The role in the organization: `owner`, `admin`, `manager`, `member`, or one of its own; `member` if not given.
    role: Option<String>,
    /// Tenants of the organization, 50 at most.
    #[serde(default)]
    tenants: Vec<TenantOffer>,
    /// Products of these tenants, 50 at most; each needs tenant:apps there.
    #[serde(default)]
    products: Vec<ProductOffer>,
    /// How long it can be accepted: 1 to 720; `tenancy.invitation_lifetime` if not given.
    #[schemars(range(min = 1, max = 720))]
    expires_in_hours: Option<u32>,
    /// Of the letter, such as `de`; `mail.language` if not given.
    #[schemars(length(min = 2, max = 35))]
    language: Option<String>,
}

async fn create(
    State(admin): State<InvitationAdmin>,
    May(caller, ..): May<Invite>,
    Extension(origin): Extension<Origin>,
    once: Once,
    Segment(id): Segment<Uuid>,
    Body(body): Body<NewBody>,
) -> Result<Created<Invitation>, Problem> {
    let email = read_address(&body.email)?;
    require_language(body.language.as_deref())?;
    let hours = body.expires_in_hours.map(|hours| Duration::from_secs(u64::from(hours) * 3600));
    let lifetime = hours.unwrap_or(admin.invitations.settings.invitation_lifetime);
    let invitation_id = new_id(&*origin.clock, &*admin.invitations.rng);
    let invitations = admin.invitations.clone();
    let create = async move |tx: &Transaction<'_>| {
        let new = NewInvitation {
            id: invitation_id,
            email: &email,
            role: body.role.as_deref().unwrap_or(MEMBER),
            tenants: &body.tenants,
            products: &body.products,
            language: body.language.as_deref(),
            lifetime,
        };
        let made = invitations.create(tx, &caller, OrganizationId(id), &new).await?;
        once.keep(tx, Created(made)).await
    };
    admin.control.run_tx(&origin.operation("tenancy.create_invitation"), create).await
}

/// A tag's form (RFC 5646); the nearest language that there is gets chosen when the letter is written.
fn require_language(language: Option<&str>) -> Result<(), Problem> {
    let is_tag = |text: &str| {
        (2..=35).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    match language {
        Some(text) if !is_tag(text) => Err(Problem::invalid("language: a tag such as de or pt-BR")),
        _ => Ok(()),
    }
}

async fn resend(
    State(admin): State<InvitationAdmin>,
    May(caller, ..): May<Invite>,
    Extension(origin): Extension<Origin>,
    once: Once,
    Segments(id, invitation): Segments<Uuid, Uuid>,
) -> Result<Json<Invitation>, Problem> {
    let invitations = admin.invitations.clone();
    let resend = async move |tx: &Transaction<'_>| {
        let sent = invitations.resend(tx, &caller, OrganizationId(id), invitation).await?;
        once.keep(tx, Json(sent)).await
    };
    admin.control.run_tx(&origin.operation("tenancy.resend_invitation"), resend).await
}

async fn revoke(
    State(admin): State<InvitationAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segments(id, invitation): Segments<Uuid, Uuid>,
) -> Result<NoContent, Problem> {
    let revoke = async move |tx: &Transaction<'_>| {
        flow::revoke(tx, &caller, OrganizationId(id), invitation).await?;
        Ok::<_, Problem>(NoContent)
    };
    admin.control.run_tx(&origin.operation("tenancy.revoke_invitation"), revoke).await
}
