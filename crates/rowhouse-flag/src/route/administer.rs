//! Flags themselves: list, create, show, change, delete, evaluate.

use axum::Json;
use axum::extract::{Extension, State};
use rowhouse_crypto::digest_hex;
use rowhouse_db::Transaction;
use rowhouse_http::api::{
    Body, Created, Cursor, ETag, IfMatch, NoContent, Once, Page, Params, Problem, Raw, Segment, Tagged, limit,
};
use rowhouse_kernel::Origin;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_postgres::Client;
use uuid::Uuid;

use super::caller::SuperAdmin;
use super::{FlagAdmin, MOST_LISTED};
use crate::definition::{Change, Fields, Flag, Targeting, Weighted};
use crate::value::{Kind, Scope};
use crate::{flow, store};

/// Longest search text, in bytes.
const MAX_SEARCH_BYTES: usize = 200;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FlagsQuery {
    /// Where the page begins: `next` of the one before.
    cursor: Option<Cursor>,
    /// 1 to 1000; 50 if not given.
    limit: Option<u32>,
    /// A part of name, description or owner.
    search: Option<String>,
}

pub(super) async fn list(
    State(admin): State<FlagAdmin>,
    _: SuperAdmin,
    Extension(origin): Extension<Origin>,
    Params(query): Params<FlagsQuery>,
) -> Result<Json<Page<Flag>>, Problem> {
    let limit = limit(query.limit, MOST_LISTED)?;
    let after: Option<String> = query.cursor.map(|cursor| cursor.position()).transpose()?;
    let search = query.search.unwrap_or_default();
    if search.len() > MAX_SEARCH_BYTES {
        return Err(Problem::malformed(format!("search: at most {MAX_SEARCH_BYTES} bytes")));
    }
    let list = async move |client: &Client| store::list(client, &search, after.as_deref(), limit).await;
    let flags = admin.control.statement(&origin.operation("flags.list"), list).await?;
    Ok(Json(Page::new(flags, limit, |flag| flag.name.clone())))
}

/// Body of a new flag.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewFlag {
    /// A lower-case letter, then lower-case letters, digits, `_`, `.` and `-`; 63 at most.
    name: String,
    kind: Kind,
    /// Who decides about it and removes it.
    owner: String,
    description: Option<String>,
    bucket_by: Option<Scope>,
    /// `off` if not given for kind boolean, else `rollout`.
    default_value: Option<String>,
    percentage: Option<f64>,
    variants: Option<Vec<Weighted>>,
    rules: Option<Vec<Targeting>>,
    routes: Option<Vec<String>>,
    sunset_on: Option<String>,
    is_public: Option<bool>,
}

impl NewFlag {
    fn fields(self) -> Fields {
        let new = Fields::new(self.kind, &self.owner);
        let change = Change {
            description: self.description,
            bucket_by: self.bucket_by,
            default_value: self.default_value,
            percentage: self.percentage,
            variants: self.variants,
            rules: self.rules,
            routes: self.routes,
            owner: None,
            sunset_on: Some(self.sunset_on),
            is_public: self.is_public,
        };
        change.apply(&new)
    }
}

pub(super) async fn create(
    State(admin): State<FlagAdmin>,
    _: SuperAdmin,
    Extension(origin): Extension<Origin>,
    once: Once,
    Body(new): Body<NewFlag>,
) -> Result<Created<Flag>, Problem> {
    let (name, fields) = (new.name.clone(), new.fields());
    let create = async move |tx: &Transaction<'_>| {
        let flag = flow::create(tx, &name, &fields).await?;
        once.keep(tx, Created(flag)).await
    };
    admin.control.run_tx(&origin.operation("flags.create"), create).await
}

pub(super) async fn show(
    State(admin): State<FlagAdmin>,
    _: SuperAdmin,
    Extension(origin): Extension<Origin>,
    Segment(name): Segment,
) -> Result<Tagged<Flag>, Problem> {
    let find = async move |client: &Client| flow::get(client, &name).await;
    Ok(tagged(admin.control.statement(&origin.operation("flags.find"), find).await?))
}

pub(super) async fn change(
    State(admin): State<FlagAdmin>,
    _: SuperAdmin,
    Extension(origin): Extension<Origin>,
    once: Once,
    seen: IfMatch,
    Segment(name): Segment,
    Body(change): Body<Change>,
) -> Result<Tagged<Flag>, Problem> {
    let change = async move |tx: &Transaction<'_>| {
        let before = flow::lock(tx, &name).await?;
        seen.require(&version(&before))?;
        let after = flow::change(tx, &before, &change).await?;
        once.keep(tx, tagged(after)).await
    };
    admin.control.run_tx(&origin.operation("flags.change"), change).await
}

pub(super) async fn delete(
    State(admin): State<FlagAdmin>,
    _: SuperAdmin,
    Extension(origin): Extension<Origin>,
    Segment(name): Segment,
) -> Result<NoContent, Problem> {
    let delete = async move |tx: &Transaction<'_>| flow::delete(tx, &name).await;
    admin.control.run_tx(&origin.operation("flags.delete"), delete).await?;
    Ok(NoContent)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SubjectQuery {
    /// The tenant's if not given.
    organization: Option<Uuid>,
    tenant: Option<Uuid>,
    user: Option<Uuid>,
}

/// What a flag is for a subject, and why.
#[derive(JsonSchema)]
#[schemars(rename = "FlagEvaluation")]
#[expect(dead_code, reason = "only described; the database writes it")]
pub(super) struct Described {
    enabled: bool,
    /// Null if it is off or has no variants.
    variant: Option<String>,
    /// `user_override`, `tenant_override`, `organization_override`, `rule` or `default`.
    reason: String,
    /// The rule's position, from 1, if one has decided.
    rule: Option<u16>,
    /// The subject's bucket, 0 to 9999, if a rollout has decided.
    bucket: Option<u16>,
}

pub(super) async fn evaluate(
    State(admin): State<FlagAdmin>,
    _: SuperAdmin,
    Extension(origin): Extension<Origin>,
    Segment(name): Segment,
    Params(of): Params<SubjectQuery>,
) -> Result<Json<Raw<Described>>, Problem> {
    let evaluate = async move |client: &Client| {
        flow::get(client, &name).await?;
        Ok::<_, flow::FlagError>(store::evaluate(client, &name, of.organization, of.tenant, of.user).await?)
    };
    let found = admin.control.statement(&origin.operation("flags.evaluate"), evaluate).await?;
    Ok(Json(Raw::new(found)))
}

fn tagged(flag: Flag) -> Tagged<Flag> {
    let version = version(&flag);
    Tagged(flag, version)
}

/// Of the whole content, which differs after every change, also one by hand; rules are rows of their own.
fn version(flag: &Flag) -> ETag {
    let mut digest = digest_hex(&serde_json::to_string(flag).unwrap_or_default());
    digest.truncate(32);
    ETag::new(digest)
}
