//! Users of a GoTrue database, batch by batch: each in one transaction, so that an interrupted import goes on where it
//! stopped. Users who are there already are left as they are.

use rowhouse_db::{Control, Transaction};
use rowhouse_kernel::Origin;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::fault::{Fault, carry_fault};
use crate::store::import::{self, DEPENDENTS, Dependent, SESSIONS};

/// Users of one transaction.
const BATCH: i64 = 500;
/// Most conflicts that are named.
const MOST_NAMED: usize = 100;

/// What to import.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The schema of the source.
    pub(crate) schema: String,
    /// Whether sessions come along.
    pub(crate) sessions: bool,
    /// Whether every transaction is rolled back.
    pub(crate) dry_run: bool,
}

/// What was imported.
#[derive(Debug, Clone, Default)]
pub(crate) struct Imported {
    pub(crate) users: u64,
    /// Users who were there before.
    pub(crate) known: u64,
    /// Users whose address or number another user has; the first of them by id.
    pub(crate) taken: u64,
    pub(crate) taken_ids: Vec<Uuid>,
    /// Users whose hash cannot be used here; they have to set a new password.
    pub(crate) without_password: u64,
    /// Rows by table.
    pub(crate) rows: std::collections::BTreeMap<&'static str, u64>,
}

/// Why a batch is not imported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    /// Everything was tried and is rolled back.
    #[error("rolled back")]
    Rehearsed(Box<Imported>),
    #[error("the source has no table {0}")]
    NoTable(String),
    #[error("a user of the source has no id")]
    NoId,
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(ImportError);

/// Imports all users; `progress` is told how many of how many are done.
pub(crate) async fn import(
    source: &Client,
    control: &Control,
    origin: &Origin,
    plan: &Plan,
    mut progress: impl FnMut(u64, i64),
) -> Result<Imported, ImportError> {
    let tables = tables(source, plan).await?;
    let total = import::count(source, &plan.schema).await?;
    let (mut all, mut after, mut done) = (Imported::default(), None, 0);
    loop {
        let users = import::users(source, &plan.schema, after, BATCH).await?;
        let Some(last) = users.last() else { return Ok(all) };
        after = Some(id_of(last)?);
        done += users.len() as u64;
        let batch = read(source, &plan.schema, &tables, users).await?;
        all.add(write(control, origin, plan, &batch).await?);
        progress(done, total);
    }
}

/// The dependent tables that the source has: which there are depends on its release.
async fn tables(source: &Client, plan: &Plan) -> Result<Vec<Dependent>, ImportError> {
    if !import::has_table(source, &plan.schema, "users").await? {
        return Err(ImportError::NoTable(format!("{}.users", plan.schema)));
    }
    let wanted = DEPENDENTS.iter().chain(if plan.sessions { SESSIONS } else { &[] });
    let mut found = Vec::new();
    for dependent in wanted {
        if import::has_table(source, &plan.schema, dependent.table).await? {
            found.push(*dependent);
        }
    }
    Ok(found)
}

/// Users with what belongs to them.
#[derive(Debug)]
struct Batch {
    ids: Vec<Uuid>,
    users: Value,
    dependents: Vec<(Dependent, Value)>,
    without_password: u64,
}

async fn read(
    source: &Client,
    schema: &str,
    tables: &[Dependent],
    mut users: Vec<Value>,
) -> Result<Batch, ImportError> {
    let ids = users.iter().map(id_of).collect::<Result<Vec<Uuid>, _>>()?;
    let without_password = users.iter_mut().map(keeps_password).filter(|is_kept| !is_kept).count() as u64;
    let mut dependents = Vec::new();
    for table in tables {
        dependents.push((*table, import::dependents(source, schema, *table, &ids).await?));
    }
    Ok(Batch { ids, users: Value::Array(users), dependents, without_password })
}

fn id_of(user: &Value) -> Result<Uuid, ImportError> {
    user["id"].as_str().and_then(|id| id.parse().ok()).ok_or(ImportError::NoId)
}

/// Empties a hash of another format, such as one that GoTrue has encrypted; false if there was one. Columns that must not be
/// null here get their defaults.
fn keeps_password(user: &mut Value) -> bool {
    for (name, default) in [("is_sso_user", json!(false)), ("is_anonymous", json!(false))] {
        if user[name].is_null() {
            user[name] = default;
        }
    }
    let hash = user["encrypted_password"].as_str().unwrap_or_default();
    let is_usable = hash.is_empty() || rowhouse_crypto::password::is_supported(hash);
    if !is_usable {
        user["encrypted_password"] = json!("");
    }
    is_usable
}

async fn write(
    control: &Control,
    origin: &Origin,
    plan: &Plan,
    batch: &Batch,
) -> Result<Imported, ImportError> {
    let dry_run = plan.dry_run;
    let work = async move |tx: &Transaction<'_>| {
        let imported = insert(tx, batch).await?;
        if dry_run { Err(ImportError::Rehearsed(Box::new(imported))) } else { Ok(imported) }
    };
    match control.run_tx(&origin.operation("auth.import"), work).await {
        Err(ImportError::Rehearsed(imported)) => Ok(*imported),
        result => result,
    }
}

async fn insert(tx: &Transaction<'_>, batch: &Batch) -> Result<Imported, ImportError> {
    let known = import::known(tx, &batch.ids).await?;
    let written = import::insert_users(tx, &batch.users).await?;
    let is_left = |id: &&Uuid| !known.contains(id) && !written.contains(id);
    let taken_ids: Vec<Uuid> = batch.ids.iter().filter(is_left).copied().collect();
    let mut imported = Imported {
        users: written.len() as u64,
        known: known.len() as u64,
        taken: taken_ids.len() as u64,
        taken_ids,
        without_password: batch.without_password,
        ..Imported::default()
    };
    for (dependent, rows) in &batch.dependents {
        let rows = of_users(rows, &written);
        let count = import::insert(tx, *dependent, &rows).await?;
        imported.rows.insert(dependent.table, count);
    }
    Ok(imported)
}

/// The rows of users that were written.
fn of_users(rows: &Value, users: &[Uuid]) -> Value {
    let belongs = |row: &&Value| {
        let user = row["user_id"].as_str().and_then(|id| id.parse().ok());
        user.is_some_and(|id: Uuid| users.contains(&id))
    };
    rows.as_array().into_iter().flatten().filter(belongs).cloned().collect()
}

impl Imported {
    fn add(&mut self, batch: Self) {
        self.users += batch.users;
        self.known += batch.known;
        self.taken += batch.taken;
        self.without_password += batch.without_password;
        let room = MOST_NAMED.saturating_sub(self.taken_ids.len());
        self.taken_ids.extend(batch.taken_ids.into_iter().take(room));
        for (table, count) in batch.rows {
            *self.rows.entry(table).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests;
