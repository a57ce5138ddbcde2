//! `/admin/v1/tenants/{tenant}/domains` and `/admin/v1/organizations/{organization}/domains`.

mod joining;
mod may;
mod problem;

use axum::Json;
use axum::extract::{Extension, FromRef, State};
use rowhouse_db::{Control, Transaction};
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::{get_with, post_with};
use rowhouse_http::api::{
    Body, Created, Cursor, ETag, NoContent, Once, Page, Params, Problem, Routes, Segment, Segments, Tagged,
    limit, operation,
};
use rowhouse_kernel::Origin;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::challenge::{Challenge, Proof};
use crate::claim::{Claim, Status};
use crate::error::DomainError;
use crate::flow::{self, Domains, Verdict};
use crate::store;
use may::{May, Organizations, Place, Tenants};

/// Longest page.
const MOST_LISTED: u32 = 1000;
/// Statuses of what can go wrong with a claim.
const CLAIM_PROBLEMS: &[u16] = &[400, 404, 409, 422, 429, 503];
const VERIFY_PROBLEMS: &[u16] = &[400, 404, 409, 422, 429];

/// State of the routes.
#[derive(Clone)]
pub(crate) struct DomainAdmin {
    pub(crate) control: Control,
    pub(crate) domains: Domains,
}

impl FromRef<DomainAdmin> for Control {
    fn from_ref(admin: &DomainAdmin) -> Self {
        admin.control.clone()
    }
}

/// The paths below `/admin/v1/tenants`.
pub(crate) fn of_tenants() -> Routes<DomainAdmin> {
    let listed =
        operation("listDomains", "List a tenant's domains, the newest first; needs tenant:view", &[400, 404]);
    let claimed = operation(
        "claimDomain",
        "Name a domain, or another proof of one; needs tenant:update",
        CLAIM_PROBLEMS,
    );
    let released = operation("releaseDomain", "Give a domain up at once; needs tenant:update", &[400, 404]);
    let verified = operation(
        "verifyDomain",
        "Look for the proof now, or enter a letter's code; answers with the domain, verified or not; needs tenant:update",
        VERIFY_PROBLEMS,
    );
    Routes::default()
        .at("/{tenant}/domains", get_with(list::<Tenants>, listed).post_with(claim::<Tenants>, claimed))
        .at(
            "/{tenant}/domains/{domain}",
            get_with(show::<Tenants>, operation("getDomain", "A domain; needs tenant:view", &[400, 404]))
                .delete_with(release::<Tenants>, released),
        )
        .at("/{tenant}/domains/{domain}/verify", post_with(verify::<Tenants>, verified))
}

/// The paths below `/admin/v1/organizations`.
pub(crate) fn of_organizations() -> Routes<DomainAdmin> {
    let listed = operation(
        "listOrganizationDomains",
        "List the domains by which people join, the newest first; needs organization:view",
        &[400, 404],
    );
    let claimed = operation(
        "claimOrganizationDomain",
        "Name a domain by which people join, or another proof of one; needs organization:update",
        CLAIM_PROBLEMS,
    );
    let shown = operation("getOrganizationDomain", "Such a domain; needs organization:view", &[400, 404]);
    let changed = operation(
        "changeOrganizationDomain",
        "Say who may join by it and in which role; needs organization:update and the version that was seen",
        &[400, 404, 409, 412, 422, 428],
    );
    let released =
        operation("releaseOrganizationDomain", "Give it up at once; needs organization:update", &[400, 404]);
    let verified = operation(
        "verifyOrganizationDomain",
        "Look for the proof now, or enter a letter's code; answers with the domain, verified or not; needs organization:update",
        VERIFY_PROBLEMS,
    );
    Routes::default()
        .at(
            "/{organization}/domains",
            get_with(list::<Organizations>, listed).post_with(claim::<Organizations>, claimed),
        )
        .at(
            "/{organization}/domains/{domain}",
            get_with(show::<Organizations>, shown)
                .patch_with(joining::change, changed)
                .delete_with(release::<Organizations>, released),
        )
        .at("/{organization}/domains/{domain}/verify", post_with(verify::<Organizations>, verified))
}

/// A domain as it is shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Domain")]
struct Shown {
    #[serde(flatten)]
    claim: Claim,
    /// What is published for the proof, and stays published while the domain is used.
    challenge: Challenge,
    /// When a verified domain whose proof is missing is lost, unless the proof is found again.
    #[serde(with = "rfc3339::option")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    lost_at: Option<OffsetDateTime>,
}

impl Domains {
    fn shown(&self, claim: Claim) -> Shown {
        let challenge = claim.challenge(self.checker.target());
        let is_failing = claim.status == Status::Verified;
        let lost_at = claim.failing_since.filter(|_| is_failing).map(|since| since + self.settings.grace);
        Shown { claim, challenge, lost_at }
    }
}

fn tagged(shown: Shown) -> Tagged<Shown> {
    let version = ETag::new(&shown.claim.version);
    Tagged(shown, version)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DomainsQuery {
    /// Only these; all but released ones if it is not given.
    status: Option<Status>,
    /// Where the page begins: `next` of the one before.
    cursor: Option<Cursor>,
    /// 1 to 1000; 50 if not given.
    limit: Option<u32>,
}

async fn list<P: Place>(
    State(admin): State<DomainAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
    Params(query): Params<DomainsQuery>,
) -> Result<Json<Page<Shown>>, Problem> {
    let (owner, limit) = (P::owner(id), limit(query.limit, MOST_LISTED)?);
    let before = query.cursor.map(|cursor| cursor.position::<Uuid>()).transpose()?;
    let list = async move |client: &Client| {
        flow::require_view(client, &caller, owner).await?;
        Ok::<_, Problem>(store::list(client, owner, query.status, before, limit).await?)
    };
    let found = admin.control.statement(&origin.operation("domains.list"), list).await?;
    let shown = found.into_iter().map(|claim| admin.domains.shown(claim)).collect();
    Ok(Json(Page::new(shown, limit, |shown: &Shown| shown.claim.id)))
}

/// Body of a new claim.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewDomain {
    /// Such as `shop.example`; internationalized names as people write them or as `xn--…`.
    #[schemars(length(min = 1, max = 253))]
    name: String,
    /// How it will be proved.
    proof: Proof,
}

async fn claim<P: Place>(
    State(admin): State<DomainAdmin>,
    May(caller, ..): May<P>,
    Extension(origin): Extension<Origin>,
    once: Once,
    Segment(id): Segment<Uuid>,
    Body(body): Body<NewDomain>,
) -> Result<Created<Shown>, Problem> {
    let domains = admin.domains.clone();
    let claim = async move |tx: &Transaction<'_>| {
        let claim = domains.claim(tx, &caller, P::owner(id), &body.name, body.proof).await?;
        once.keep(tx, Created(domains.shown(claim))).await
    };
    admin.control.run_tx(&origin.operation("domains.claim"), claim).await
}

async fn show<P: Place>(
    State(admin): State<DomainAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segments(id, domain): Segments<Uuid, Uuid>,
) -> Result<Tagged<Shown>, Problem> {
    let owner = P::owner(id);
    let find = async move |client: &Client| flow::get(client, &caller, owner, domain, owner.view()).await;
    let found = admin.control.statement(&origin.operation("domains.find"), find).await?;
    Ok(tagged(admin.domains.shown(found)))
}

async fn release<P: Place>(
    State(admin): State<DomainAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segments(id, domain): Segments<Uuid, Uuid>,
) -> Result<NoContent, Problem> {
    let release = async move |tx: &Transaction<'_>| {
        flow::release(tx, &caller, P::owner(id), domain).await?;
        Ok::<_, Problem>(NoContent)
    };
    admin.control.run_tx(&origin.operation("domains.release"), release).await
}

/// Body of a check.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Check {
    /// The code of the letter, for the proof by mail.
    #[schemars(length(max = 100))]
    code: Option<String>,
}

/// The network is asked between two transactions, so that no connection is held meanwhile.
async fn verify<P: Place>(
    State(admin): State<DomainAdmin>,
    May(caller, ..): May<P>,
    Extension(origin): Extension<Origin>,
    once: Once,
    Segments(id, domain): Segments<Uuid, Uuid>,
    Body(body): Body<Check>,
) -> Result<Json<Shown>, Problem> {
    let owner = P::owner(id);
    let (domains, asking) = (admin.domains.clone(), caller.clone());
    let begin = async move |tx: &Transaction<'_>| {
        domains.begin_check(tx, &asking, owner, domain, body.code.as_deref()).await
    };
    let begun = admin.control.run_tx(&origin.operation("domains.begin_check"), begin).await;
    let (claim, decided) = begun?;
    let finding = match decided {
        Some(finding) => finding,
        None => admin.domains.checker.check(&claim).await,
    };
    let domains = admin.domains.clone();
    let end = async move |tx: &Transaction<'_>| {
        match domains.end_check(tx, &caller, owner, &claim, &finding).await? {
            Verdict::Seen(claim) => once.keep(tx, Json(domains.shown(*claim))).await.map(Some),
            // Committed: the holder's proof is looked for at once.
            Verdict::Taken => Ok::<_, Problem>(None),
        }
    };
    let ended = admin.control.run_tx(&origin.operation("domains.end_check"), end).await?;
    ended.ok_or_else(|| DomainError::Taken.into())
}
