//! Proves isolation by attacks on generated tenants, in a transaction that is rolled back. Leaves what the catalogs alone can
//! tell to `audit`, and the options of the command to `command`.

mod attack;
mod catalog;
mod cell;
mod echo;
mod html;
mod http;
mod insert;
mod judge;
mod literal;
mod model;
mod pgtap;
mod proof;
mod row;
mod run;
mod scene;
mod stage;
mod target;
mod value;
pub(crate) mod wire;
mod world;

use std::collections::BTreeMap;

use rowhouse_db::DbError;
use rowhouse_kernel::AUTHENTICATED;
use rowhouse_kernel::settings::Settings;
use rowhouse_module::CannotRun;
use rowhouse_rest::RestSettings;
use serde_json::json;
use tokio_postgres::Client;

pub(crate) use catalog::{Relation, read as read_catalog};
pub use cell::Cell;
pub use html::page;
pub use http::{Copy, prove_over_http};
pub(crate) use literal::{dollar_quoted, literal};
pub use pgtap::script;
pub use proof::{Coverage, Leak, Line, Mark, Note, Proof, Unproven};

use crate::audit::Scope;
use crate::settings::RlsSettings;
use echo::Source;
use stage::Stage;

/// Names resolve to PostgreSQL's own objects, and others are printed with their schema.
const SEARCH_PATH: &str = "set local search_path = pg_catalog, pg_temp";
/// How long a batch of statements may take, and how long it waits for a lock.
const LIMITS: &str = "set local statement_timeout = '60s'; set local lock_timeout = '5s'; set local idle_in_transaction_session_timeout = '5min'";

/// What is proven, beside what an audit reads.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Schemas, callers and tenant columns.
    pub scope: Scope,
    /// Declarations.
    pub settings: RlsSettings,
    /// Schemas that names in functions are looked up in.
    pub search_path: String,
}

impl Plan {
    /// As a project's settings have it.
    ///
    /// # Errors
    /// If the URL of the data plane's login cannot be read.
    pub fn of(settings: &Settings) -> Result<Self, CannotRun> {
        let rest = settings.get::<RestSettings>();
        let path: Vec<String> =
            rest.schemas.iter().chain(&rest.extra_search_path).map(|name| quoted(name)).collect();
        let rls = (*settings.get::<RlsSettings>()).clone();
        Ok(Self { scope: Scope::of(settings)?, settings: rls, search_path: path.join(", ") })
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Told what is done and what there is to do, with the name of what comes next.
pub type Told<'a> = &'a (dyn Fn(usize, usize, &str) + 'a);

/// Proves in a transaction of its own, which is rolled back.
///
/// # Errors
/// The database's, and declarations of what does not exist.
pub async fn prove(client: &Client, plan: &Plan, told: Told<'_>) -> Result<Proof, CannotRun> {
    client.batch_execute(&format!("begin; {LIMITS}")).await.map_err(DbError::from)?;
    let proof = prove_within(client, plan, told).await;
    client.batch_execute("rollback").await.map_err(DbError::from)?;
    proof
}

/// The same in the transaction that the connection is in; what it makes stays until that ends.
///
/// # Errors
/// The same.
pub async fn prove_within(client: &Client, plan: &Plan, told: Told<'_>) -> Result<Proof, CannotRun> {
    client.batch_execute(SEARCH_PATH).await.map_err(DbError::from)?;
    let before = sequences(client).await?;
    let Setting { mut stage, fingerprint, unreachable } = set_up(client, plan).await?;
    let mut proof = attack_all(client, &mut stage, told).await?;
    proof.fingerprint = fingerprint;
    client.batch_execute(SEARCH_PATH).await.map_err(DbError::from)?;
    let after = sequences(client).await?;
    proof.sequences = after
        .into_iter()
        .filter(|(name, value)| before.get(name) != Some(value))
        .map(|(name, _)| name)
        .collect();
    let unknown = |role: String| Unproven {
        relation: format!("role {role}"),
        cell: None,
        reason: format!(
            "callers may have it, and the proof may not: run it as a superuser, or grant {role} to the login of the proof"
        ),
        declared: None,
    };
    proof.unproven.extend(unreachable.into_iter().map(unknown));
    finish(&mut proof, &plan.settings);
    Ok(proof)
}

/// What is there before anything is attacked.
struct Setting {
    stage: Stage,
    fingerprint: String,
    /// Roles of callers that the proof cannot take.
    unreachable: Vec<String>,
}

/// Reads catalog and declarations, and makes the parties; their rows are still to be made.
async fn set_up(client: &Client, plan: &Plan) -> Result<Setting, CannotRun> {
    let Model { catalog, declared, roles, unreachable } = model(client, plan).await?;
    let fingerprint = rowhouse_db::migrate::fingerprint(client).await?;
    let path = format!("set local search_path = {}", plan.search_path);
    client.batch_execute(&path).await.map_err(DbError::from)?;
    let settings = &plan.settings;
    let scene = scene::make(client, &roles, settings.setup.as_deref(), settings.claims.as_deref()).await?;
    let world = world::World::of(&scene);
    let stage = Stage { catalog, declared, scene, world, spares_shared: false };
    Ok(Setting { stage, fingerprint, unreachable })
}

/// What there is, and whose rows it holds.
struct Model {
    catalog: catalog::Catalog,
    declared: Vec<(String, model::Declared)>,
    /// Of callers.
    roles: Vec<String>,
    unreachable: Vec<String>,
}

async fn model(client: &Client, plan: &Plan) -> Result<Model, CannotRun> {
    client.batch_execute(SEARCH_PATH).await.map_err(DbError::from)?;
    let (roles, unreachable) = roles(client, &plan.scope).await?;
    let schemas = if plan.scope.schemas.is_empty() { &plan.scope.served } else { &plan.scope.schemas };
    crate::audit::require_schemas(client, schemas).await?;
    let catalog = read_catalog(client, schemas, &roles).await?;
    let tables: Vec<_> = plan.settings.table.iter().map(|(_, table)| table.clone()).collect();
    let mistakes = model::mistakes(&catalog.relations, plan.settings.table.iter());
    if !mistakes.is_empty() {
        return Err(CannotRun(mistakes));
    }
    let declared = |relation: &Relation| {
        let columns = &plan.settings.tenant_columns;
        let meaning = model::declared(relation, &catalog.relations, &tables, columns);
        (relation.name.clone(), meaning)
    };
    let declared = catalog.relations.iter().map(declared).collect();
    Ok(Model { catalog, declared, roles, unreachable })
}

/// All attacks, and the readings before and after there are rows to be seen.
async fn attack_all(client: &Client, stage: &mut Stage, told: Told<'_>) -> Result<Proof, CannotRun> {
    let mut proof = Proof::default();
    let total = stage.catalog.relations.len();
    run::introduce(client, &stage.scene.actors).await?;
    told(0, total, "making rows");
    stage.fill(client, &[scene::OTHER, scene::SIBLING]).await?;
    let reading = echo::read(client, stage).await?;
    stage.fill(client, &[scene::OWNER]).await?;
    told(0, total, "comparing what callers see");
    let mut marks: BTreeMap<String, BTreeMap<(usize, Cell), Mark>> = BTreeMap::new();
    for (source, echoed, probes) in echo::compare(client, stage, reading).await? {
        let name = match source {
            Source::Relation(at) => &stage.catalog.relations[at].name,
            Source::Function(at) => &stage.catalog.functions[at].name,
        };
        marks.entry(name.clone()).or_default().extend(echoed.marks);
        proof.leaks.extend(echoed.leaks);
        proof.unproven.extend(echoed.unproven);
        proof.coverage.probes += probes;
    }
    for at in 0..total {
        let relation = &stage.catalog.relations[at];
        if !relation.is_granted() {
            continue;
        }
        told(at, total, &relation.name);
        let attacked = attack::attack(client, stage, at).await;
        let attacked = attacked.map_err(|error| concerning(&relation.name, &error))?;
        marks.entry(relation.name.clone()).or_default().extend(attacked.judged.marks);
        proof.leaks.extend(attacked.judged.leaks);
        proof.unproven.extend(attacked.judged.unproven);
        proof.notes.extend(attacked.notes);
        proof.denials.extend(attacked.denials);
        proof.coverage.probes += attacked.probes;
        proof.coverage.relations += 1;
    }
    proof.coverage.functions = stage.catalog.functions.len();
    proof.coverage.actors = stage.scene.actors.len();
    proof.matrix = matrix(stage, &marks);
    proof.callers.clone_from(&stage.scene.actors);
    proof.setup = stage.scene.script.iter().chain(&stage.world.made).cloned().collect();
    Ok(proof)
}

/// An error with the relation that it concerns.
fn concerning(relation: &str, error: &DbError) -> CannotRun {
    let is_locked = error.code() == Some("55P03");
    let remedy = if is_locked { "; another session holds a lock on it: pg_locks says which one" } else { "" };
    CannotRun::because(format!("{relation}: {error}{remedy}"))
}

fn matrix(stage: &Stage, marks: &BTreeMap<String, BTreeMap<(usize, Cell), Mark>>) -> Vec<Line> {
    let mut lines = Vec::new();
    for (relation, marks) in marks {
        for (index, actor) in stage.scene.actors.iter().enumerate() {
            let of_actor = marks.iter().filter(|((at, _), _)| *at == index);
            let cells: BTreeMap<Cell, Mark> = of_actor.map(|((_, cell), mark)| (*cell, *mark)).collect();
            if !cells.is_empty() {
                lines.push(Line { relation: relation.clone(), actor: actor.name.clone(), cells });
            }
        }
    }
    lines
}

/// Sorts, counts, and takes what somebody has accepted.
fn finish(proof: &mut Proof, settings: &RlsSettings) {
    proof.leaks.sort();
    proof.leaks.dedup();
    proof.unproven.sort();
    proof.unproven.dedup();
    proof.notes.sort();
    proof.notes.dedup();
    for unproven in &mut proof.unproven {
        let accepted = settings.unproven.iter().find(|(_, accepted)| accepted.relation == unproven.relation);
        unproven.declared = accepted.map(|(_, accepted)| accepted.reason.clone());
    }
    let is_unused = |relation: &str| !proof.unproven.iter().any(|unproven| unproven.relation == relation);
    let unused = settings.unproven.iter().filter(|(_, accepted)| is_unused(&accepted.relation));
    proof.unused = unused.map(|(name, _)| name.to_owned()).collect();
    let is_bad = |relation: &str| {
        proof.leaks.iter().any(|leak| leak.relation == relation)
            || proof.unproven.iter().any(|one| one.relation == relation)
    };
    let mut relations: Vec<&str> = proof.matrix.iter().map(|line| line.relation.as_str()).collect();
    relations.dedup();
    proof.coverage.proven =
        relations.iter().filter(|relation| !is_bad(relation) && !relation.ends_with(')')).count();
    let marks = proof.matrix.iter().flat_map(|line| line.cells.values());
    proof.coverage.held = marks.filter(|mark| **mark == Mark::Held).count();
}

impl Proof {
    /// Adds what requests over HTTP have shown in a copy. Of a copy with another schema that says nothing.
    pub fn add(&mut self, over_http: Self, plan: &Plan) {
        if self.fingerprint != over_http.fingerprint {
            let reason = "the migrations make another schema than the database has, so what requests over HTTP showed does not \
                          hold for it: run `rowhouse migrate verify`";
            let relation = "(copy)".to_owned();
            self.unproven.push(Unproven { relation, cell: None, reason: reason.to_owned(), declared: None });
        }
        self.take(over_http);
        finish(self, &plan.settings);
    }
}

/// Roles in which callers' requests run and policies hold, and those among them that the proof cannot take.
async fn roles(client: &Client, scope: &Scope) -> Result<(Vec<String>, Vec<String>), DbError> {
    let sql = "select r.rolname::text, pg_has_role(session_user, r.oid, 'member')
        from pg_roles r
        where r.rolname = any ($1::text[])
          or exists (select from pg_auth_members m join pg_roles l on l.oid = m.member where m.roleid = r.oid and l.rolname = $2)
        order by r.rolname <> 'authenticated', r.rolname";
    let callers = [AUTHENTICATED, scope.anon_role.as_str()];
    let rows = client.query(sql, &[&callers.as_slice(), &scope.login]).await?;
    let all = rows.iter().map(|row| (row.get::<_, String>(0), row.get::<_, bool>(1)));
    let (reachable, unreachable): (Vec<_>, Vec<_>) = all.partition(|(_, is_reachable)| *is_reachable);
    let names = |roles: Vec<(String, bool)>| roles.into_iter().map(|(name, _)| name).collect();
    Ok((names(reachable), names(unreachable)))
}

/// Those that the proof can take.
pub(crate) async fn caller_roles(client: &Client, scope: &Scope) -> Result<Vec<String>, DbError> {
    Ok(roles(client, scope).await?.0)
}

async fn sequences(client: &Client) -> Result<BTreeMap<String, Option<i64>>, DbError> {
    let sql = "select format('%I.%I', schemaname, sequencename), last_value from pg_sequences";
    let rows = client.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// The proof as a document; the matrix only where it is wanted.
#[must_use]
pub fn document(proof: &Proof, with_matrix: bool) -> serde_json::Value {
    let mut document = json!({
        "verdict": if proof.passes() { "pass" } else { "fail" },
        "leaks": proof.leaks,
        "unproven": proof.unproven,
        "notes": proof.notes,
        "coverage": proof.coverage,
        "fingerprint": proof.fingerprint,
        "sequences": proof.sequences,
        "unused": proof.unused,
    });
    if with_matrix && let Some(object) = document.as_object_mut() {
        object.insert("matrix".to_owned(), json!(proof.matrix));
    }
    document
}
