//! Audits the audit: applies seeded defects one at a time and sees whether proof or audit finds each. Leaves the defects to
//! `kind` and its families.

mod kind;
mod place;
mod policy;
mod role;
mod routine;
mod table;
mod view;

use std::collections::BTreeSet;

use rowhouse_db::DbError;
use rowhouse_module::CannotRun;
use serde::Serialize;
use tokio_postgres::Client;

pub use kind::KINDS;
pub use place::Kind;

use crate::audit::Auditor;
use crate::check::Severity;
use crate::prove::{Plan, Proof, Relation, Told, caller_roles, prove_within, read_catalog};
use crate::report::{Finding, Report};

const SEARCH_PATH: &str = "set local search_path = pg_catalog, pg_temp";
/// The same checks run again and again: they need no plans of their own each time.
const PLAN_ONCE: &str = "set local plan_cache_mode = force_generic_plan";
const PLAN_AS_USUAL: &str = "set local plan_cache_mode = auto";

/// What became of a defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// Found.
    Killed,
    /// Found by neither.
    Survived,
    /// Could not be applied.
    Skipped,
}

/// A defect in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mutant {
    /// Its kind.
    pub kind: &'static str,
    /// The table that it concerns.
    pub relation: String,
    /// What became of it.
    pub fate: Fate,
    /// `prove`, `audit` or both.
    pub killed_by: Vec<&'static str>,
    /// What found it, or why it was skipped.
    pub detail: String,
    /// The statements.
    pub sql: String,
}

/// What came of all.
#[derive(Debug, Clone, Default)]
pub struct Mutation {
    /// In the order of the kinds.
    pub mutants: Vec<Mutant>,
    /// What was found without any defect: it must be nothing.
    pub false_alarms: Vec<String>,
}

impl Mutation {
    /// How many have that fate.
    #[must_use]
    pub fn count(&self, fate: Fate) -> usize {
        self.mutants.iter().filter(|mutant| mutant.fate == fate).count()
    }

    /// Found of those that could be applied; none if none could.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    pub fn kill_rate(&self) -> Option<f64> {
        let (killed, survived) = (self.count(Fate::Killed), self.count(Fate::Survived));
        (killed + survived > 0).then(|| killed as f64 / (killed + survived) as f64)
    }

    /// Whether every defect was found, and nothing without one.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.count(Fate::Survived) == 0 && self.count(Fate::Killed) > 0 && self.false_alarms.is_empty()
    }
}

/// Findings of both, in a form that can be compared.
struct Found {
    by_proof: BTreeSet<String>,
    by_audit: BTreeSet<String>,
}

/// Applies each kind to one table, or to every one, in a transaction that is rolled back.
///
/// # Errors
/// The database's, and declarations of what does not exist.
pub async fn mutate(
    client: &Client,
    plan: &Plan,
    every: bool,
    told: Told<'_>,
) -> Result<Mutation, CannotRun> {
    let limits = "begin; set local statement_timeout = '60s'; set local lock_timeout = '5s'";
    client.batch_execute(limits).await.map_err(DbError::from)?;
    let mutation = mutate_within(client, plan, every, told).await;
    client.batch_execute("rollback").await.map_err(DbError::from)?;
    mutation
}

async fn mutate_within(
    client: &Client,
    plan: &Plan,
    every: bool,
    told: Told<'_>,
) -> Result<Mutation, CannotRun> {
    let tables = targets(client, plan).await?;
    let looker = Looker { client, plan, auditor: Auditor::prepare(client).await? };
    let baseline = looker.within_savepoint("select 1").await?;
    let mut mutation = Mutation { false_alarms: alarms(&baseline), ..Mutation::default() };
    for (at, kind) in KINDS.iter().enumerate() {
        told(at, KINDS.len(), kind.name);
        let fitting: Vec<_> =
            tables.iter().filter_map(|table| Some((table, (kind.sql)(table, plan)?))).collect();
        let wanted = if every { fitting.len() } else { 1.min(fitting.len()) };
        // Another table for each kind, so that all have their turn.
        let first = if every || fitting.is_empty() { 0 } else { at % fitting.len() };
        for (table, sql) in fitting.iter().skip(first).take(wanted) {
            mutation.mutants.push(try_one(&looker, kind, table, sql, &baseline).await?);
        }
    }
    Ok(mutation)
}

/// Tables that defects fit into.
async fn targets(client: &Client, plan: &Plan) -> Result<Vec<Relation>, CannotRun> {
    client.batch_execute(SEARCH_PATH).await.map_err(DbError::from)?;
    let roles = caller_roles(client, &plan.scope).await?;
    let schemas = if plan.scope.schemas.is_empty() { &plan.scope.served } else { &plan.scope.schemas };
    let relations = read_catalog(client, schemas, &roles).await?.relations;
    let tables: Vec<Relation> = relations.into_iter().filter(|one| place::is_target(one, plan)).collect();
    match tables.is_empty() {
        true => Err(CannotRun::because("there is no tenant table to put a defect into")),
        false => Ok(tables),
    }
}

/// Kind and SQL of every defect that fits a table, in the transaction that the connection is in; nothing is changed.
///
/// # Errors
/// The database's, and if there is no such table.
pub async fn statements(client: &Client, plan: &Plan) -> Result<Vec<(&'static str, String)>, CannotRun> {
    let tables = targets(client, plan).await?;
    let of_kind = |kind: &'static Kind| {
        tables.iter().filter_map(move |table| Some((kind.name, (kind.sql)(table, plan)?))).collect::<Vec<_>>()
    };
    Ok(KINDS.iter().flat_map(of_kind).collect())
}

fn alarms(found: &Found) -> Vec<String> {
    let errors = found.by_audit.iter().filter(|one| one.starts_with(Severity::Error.as_str()));
    found.by_proof.iter().chain(errors).cloned().collect()
}

async fn try_one(
    looker: &Looker<'_>,
    kind: &Kind,
    table: &Relation,
    sql: &str,
    baseline: &Found,
) -> Result<Mutant, CannotRun> {
    let mutant = |fate, killed_by, detail: String| Mutant {
        kind: kind.name,
        relation: table.name.clone(),
        fate,
        killed_by,
        detail,
        sql: sql.to_owned(),
    };
    let found = match looker.within_savepoint(sql).await {
        Ok(found) => found,
        Err(reason) => return Ok(mutant(Fate::Skipped, Vec::new(), reason.to_string())),
    };
    let new = |now: &BTreeSet<String>, before: &BTreeSet<String>| now.difference(before).next().cloned();
    let finders = [
        ("prove", new(&found.by_proof, &baseline.by_proof)),
        ("audit", new(&found.by_audit, &baseline.by_audit)),
    ];
    let killed_by: Vec<&'static str> =
        finders.iter().filter(|(_, first)| first.is_some()).map(|(name, _)| *name).collect();
    let detail = finders.iter().filter_map(|(_, first)| first.clone()).next().unwrap_or_default();
    Ok(mutant(if killed_by.is_empty() { Fate::Survived } else { Fate::Killed }, killed_by, detail))
}

/// Looks at the schema with each defect.
struct Looker<'a> {
    client: &'a Client,
    plan: &'a Plan,
    auditor: Auditor,
}

impl Looker<'_> {
    /// Applies statements, proves, audits, and goes back.
    async fn within_savepoint(&self, sql: &str) -> Result<Found, CannotRun> {
        let begin = format!("savepoint mutant; {SEARCH_PATH}");
        self.client.batch_execute(&begin).await.map_err(DbError::from)?;
        let found = self.look(sql).await;
        let back = "rollback to savepoint mutant; release savepoint mutant";
        self.client.batch_execute(back).await.map_err(DbError::from)?;
        found
    }

    async fn look(&self, sql: &str) -> Result<Found, CannotRun> {
        let Self { client, plan, auditor } = self;
        client.batch_execute(&format!("{sql};\n{PLAN_ONCE}")).await.map_err(DbError::from)?;
        let report = auditor.audit(client, &plan.scope).await?;
        client.batch_execute(PLAN_AS_USUAL).await.map_err(DbError::from)?;
        let proof = prove_within(client, plan, &|_, _, _| {}).await?;
        Ok(Found { by_proof: of_proof(&proof), by_audit: of_audit(&report) })
    }
}

fn of_proof(proof: &Proof) -> BTreeSet<String> {
    let leaks =
        proof.leaks.iter().map(|leak| format!("leak: {}: {}, {}", leak.relation, leak.actor, leak.detail));
    let unproven = proof.unproven.iter().filter(|one| one.declared.is_none());
    let unproven = unproven
        .map(|one| format!("unproven: {}: {}", one.relation, one.cell.map_or("all", |cell| cell.as_str())));
    let notes = proof.notes.iter().map(|note| format!("note: {}: {}", note.relation, note.kind));
    leaks.chain(unproven).chain(notes).collect()
}

fn of_audit(report: &Report) -> BTreeSet<String> {
    let findings = report.findings.iter();
    let text = |one: &Finding| {
        format!(
            "{}: {}: {} {}",
            one.severity.as_str(),
            one.id,
            one.relation,
            one.object.as_deref().unwrap_or_default()
        )
    };
    findings.map(text).collect()
}
