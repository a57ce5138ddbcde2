//! The same attempts over HTTP, with signed tokens, against a data API of the proof's own, and requests of tenants that follow
//! one another in the same connection. What a request does is committed, so it takes a database that is thrown away.

mod bleed;
mod call;
mod refer;
mod request;
mod routine;
mod service;

use std::collections::BTreeMap;

use rowhouse_db::{DatabaseUrls, DbError};
use rowhouse_kernel::settings::Settings;
use rowhouse_kernel::{SharedClock, SharedRng};
use rowhouse_module::CannotRun;
use tokio_postgres::Client;

use super::cell::Cell;
use super::judge::{Judged, Trial};
use super::model::Scope;
use super::proof::{Mark, Proof};
use super::run::Outcome;
use super::scene::{Actor, OTHER, OWNER, SIBLING};
use super::stage::Stage;
use super::target::{Probe, Target};
use super::{LIMITS, Plan, Setting, Told, finish, matrix, set_up};
use request::Attempt;
use service::Service;

/// A database that nobody else uses, with the project's schema, and what its data API runs with.
#[derive(Clone, Copy)]
pub struct Copy<'a> {
    /// Its logins.
    pub urls: &'a DatabaseUrls,
    /// The project's settings.
    pub settings: &'a Settings,
    /// The time.
    pub clock: &'a SharedClock,
    /// For ids.
    pub rng: &'a SharedRng,
}

/// Marks by relation, then by caller's place and cell.
type Marks = BTreeMap<String, BTreeMap<(usize, Cell), Mark>>;

/// Makes parties and rows in the copy, starts a data API over it, and attacks.
///
/// # Errors
/// The database's, and declarations of what does not exist.
pub async fn prove_over_http(copy: &Copy<'_>, plan: &Plan, told: Told<'_>) -> Result<Proof, CannotRun> {
    let client = rowhouse_db::connect(&copy.urls.direct).await?;
    client.batch_execute(&format!("begin; {LIMITS}")).await.map_err(DbError::from)?;
    let Setting { mut stage, fingerprint, .. } = set_up(&client, plan).await?;
    stage.scene.actors.retain(Actor::has_token);
    stage.fill(&client, &[OTHER, SIBLING]).await?;
    bleed::prepare(&client, plan).await?;
    client.batch_execute("commit").await.map_err(DbError::from)?;
    let service = Service::start(copy, &stage.scene.actors).await?;
    let shown = attack_all(&client, &service, &mut stage, plan, told).await;
    let requests = service.sent();
    service.stop().await;
    let (mut proof, marks) = shown?;
    proof.fingerprint = fingerprint;
    proof.coverage.requests = requests;
    proof.matrix = matrix(&stage, &marks);
    finish(&mut proof, &plan.settings);
    Ok(proof)
}

async fn attack_all(
    client: &Client,
    service: &Service,
    stage: &mut Stage,
    plan: &Plan,
    told: Told<'_>,
) -> Result<(Proof, Marks), CannotRun> {
    let (mut proof, mut marks) = (Proof::default(), Marks::new());
    let total = stage.catalog.relations.len();
    told(0, total, "calling functions over HTTP");
    let readings = routine::read(service, stage).await?;
    let path = format!("begin; {LIMITS}; set local search_path = {}", plan.search_path);
    client.batch_execute(&path).await.map_err(DbError::from)?;
    stage.fill(client, &[OWNER]).await?;
    client.batch_execute("commit").await.map_err(DbError::from)?;
    let mut add = |name: String, judged: Judged| {
        marks.entry(name).or_default().extend(judged.marks);
        proof.leaks.extend(judged.leaks);
        proof.unproven.extend(judged.unproven);
    };
    routine::compare(service, stage, readings)
        .await?
        .into_iter()
        .for_each(|(name, judged)| add(name, judged));
    for at in 0..total {
        let relation = &stage.catalog.relations[at];
        told(at, total, &format!("{} over HTTP", relation.name));
        if let Some(judged) = attack(client, service, stage, at).await? {
            add(relation.name.clone(), judged);
        }
    }
    told(total, total, "looking for what requests leave");
    let judged = bleed::attack(client, service, stage, plan).await?;
    add(bleed::NAME.to_owned(), judged);
    // The last: it deletes rows.
    refer::attack(client, service, stage).await?.into_iter().for_each(|(name, judged)| add(name, judged));
    Ok((proof, marks))
}

/// All requests about a relation; none where nobody's rows are in it, which the proof in SQL has reported.
async fn attack(
    client: &Client,
    service: &Service,
    stage: &Stage,
    at: usize,
) -> Result<Option<Judged>, CannotRun> {
    let (relation, declared) = (&stage.catalog.relations[at], &stage.declared[at].1);
    let rows = stage.rows(at);
    let is_undeclared = declared.scope == Scope::Nobody && (!declared.is_declared || !relation.is_table());
    let Some(row) = rows.of.get(&OWNER).filter(|_| relation.is_granted() && !is_undeclared) else {
        return Ok(None);
    };
    let owned = stage.owned(client, at).await?;
    let (private, clearing) = (Vec::new(), stage.clearing(&relation.name));
    let target =
        Target { maker: stage.maker(at), recipe: &rows.recipe, row, owned: &owned, clearing, private };
    let callers = stage.callers(at);
    let tried = send(service, callers.flat_map(|(index, actor)| request::attempts(&target, index, actor)));
    let tried = tried.await?;
    let is_private = declared.scope != Scope::Nobody;
    Ok(Some(Trial { relation, actors: &stage.scene.actors, is_private, tried: &tried }.judge()))
}

/// Sends one after the other.
async fn send(
    service: &Service,
    attempts: impl Iterator<Item = Attempt>,
) -> Result<Vec<(Probe, Outcome)>, CannotRun> {
    let mut tried = Vec::new();
    for Attempt { actor, cell, call, most } in attempts {
        let answer = service.send(actor, &call).await?;
        let sql = call.to_string();
        let probe = Probe { actor, sql, reads: false, prepare: None, look: None, cell, most };
        tried.push((probe, answer.outcome()));
    }
    Ok(tried)
}
