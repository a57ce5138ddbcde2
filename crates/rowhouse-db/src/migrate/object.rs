//! What the project's schemas consist of, object by object: recorded with each migration, so that what was changed beside
//! them is found by name.

use std::collections::BTreeMap;

use tokio_postgres::Client;

use crate::DbError;
use crate::session::SET_SEARCH_PATH;

const OBJECTS: &str = include_str!("../../sql/schema_objects.sql");

/// Kind and name of each object, with the digest of its definition.
pub(super) type Objects = BTreeMap<String, String>;

/// A difference between the schema and what migrations left.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SchemaDrift {
    /// Kind and name: `table public.todos`.
    pub object: String,
    /// What has happened to it beside the migrations.
    pub change: ObjectChange,
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectChange {
    /// No migration made it.
    Added,
    /// A migration made it otherwise.
    Changed,
    /// A migration made it, and it is gone.
    Removed,
}

impl ObjectChange {
    /// The word for people and documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

/// What is there now. The search path decides how names are written; the caller's is the platform's.
pub(super) async fn current(client: &Client) -> Result<Objects, tokio_postgres::Error> {
    let rows = client.query(OBJECTS, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// What was there when a file without a transaction began, in this run or in one before it that did not end: what that one
/// made is the file's.
pub(super) async fn at_begin(client: &Client, name: &str) -> Result<Objects, tokio_postgres::Error> {
    let (objects, digests): (Vec<String>, Vec<String>) = current(client).await?.into_iter().unzip();
    let begin = "insert into rowhouse.begun_migrations (name, objects, digests) values ($1, $2, $3) on conflict do nothing";
    client.execute(begin, &[&name, &objects, &digests]).await?;
    let first = "select unnest(objects), unnest(digests) from rowhouse.begun_migrations where name = $1";
    let rows = client.query(first, &[&name]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Forgets what was there, once the file has ended.
pub(super) async fn forget_begin(client: &Client, name: &str) -> Result<(), tokio_postgres::Error> {
    client.execute("delete from rowhouse.begun_migrations where name = $1", &[&name]).await.map(drop)
}

/// What is there now, whatever the session's search path is.
pub(super) async fn of_session(client: &Client) -> Result<Objects, tokio_postgres::Error> {
    client.batch_execute(SET_SEARCH_PATH).await?;
    current(client).await
}

/// What was there before the first migration counts as given.
pub(super) async fn record_given(client: &Client) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(SET_SEARCH_PATH).await?;
    let is_recorded = "select exists (select from rowhouse.schema_objects)";
    if client.query_one(is_recorded, &[]).await?.get(0) {
        return Ok(());
    }
    record(client, &Objects::new(), &current(client).await?).await
}

/// What is there now is what the migrations give, whatever was recorded before.
pub(super) async fn record_present(client: &Client) -> Result<(), tokio_postgres::Error> {
    let objects = of_session(client).await?;
    client.execute("delete from rowhouse.schema_objects", &[]).await?;
    record(client, &Objects::new(), &objects).await
}

/// A digest of all that the project's schemas consist of: the same for the same schema, whichever way it came about.
///
/// # Errors
/// The database's.
pub async fn fingerprint(client: &Client) -> Result<String, DbError> {
    let all = current(client).await?;
    let lines: String = all.iter().map(|(object, digest)| format!("{object}={digest}\n")).collect();
    let row = client.query_one("select encode(sha256(convert_to($1, 'UTF8')), 'hex')", &[&lines]).await?;
    Ok(row.get(0))
}

/// Carries what has changed between two states over to the record, and nothing else: what was changed beside migrations
/// before stays a difference.
pub(super) async fn record(
    client: &Client,
    before: &Objects,
    after: &Objects,
) -> Result<(), tokio_postgres::Error> {
    let changed: Vec<(&String, &String)> =
        after.iter().filter(|(object, digest)| before.get(*object) != Some(*digest)).collect();
    let (objects, digests): (Vec<&String>, Vec<&String>) = changed.into_iter().unzip();
    let gone: Vec<&String> = before.keys().filter(|object| !after.contains_key(*object)).collect();
    client.execute("delete from rowhouse.schema_objects where object = any ($1)", &[&gone]).await?;
    let sql =
        "insert into rowhouse.schema_objects (object, digest) select * from unnest($1::text[], $2::text[])
        on conflict (object) do update set digest = excluded.digest";
    client.execute(sql, &[&objects, &digests]).await.map(drop)
}

/// Runs the platform's own work on objects of the project, and records what it changes as given by the migrations: it is no difference
/// that somebody has made.
///
/// # Errors
/// The work's; the database's.
pub async fn adjust<E: From<DbError>>(
    client: &Client,
    work: impl Future<Output = Result<(), E>>,
) -> Result<(), E> {
    let before = of_session(client).await.map_err(DbError::from)?;
    work.await?;
    let after = of_session(client).await.map_err(DbError::from)?;
    Ok(record(client, &before, &after).await.map_err(DbError::from)?)
}

/// The differences, by object.
pub(super) async fn drift(client: &Client) -> Result<Vec<SchemaDrift>, tokio_postgres::Error> {
    let rows = client.query("select object, digest from rowhouse.schema_objects", &[]).await?;
    let recorded: Objects = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    Ok(compare(&recorded, &current(client).await?))
}

pub(super) fn compare(recorded: &Objects, current: &Objects) -> Vec<SchemaDrift> {
    let found = current.iter().filter_map(|(object, digest)| match recorded.get(object) {
        None => Some((object, ObjectChange::Added)),
        Some(former) if former != digest => Some((object, ObjectChange::Changed)),
        Some(_) => None,
    });
    let gone = recorded.keys().filter(|object| !current.contains_key(*object));
    let mut all: Vec<SchemaDrift> = found
        .chain(gone.map(|object| (object, ObjectChange::Removed)))
        .map(|(object, change)| SchemaDrift { object: object.clone(), change })
        .collect();
    all.sort_by(|a, b| a.object.cmp(&b.object));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_difference_is_named() {
        let objects = |all: &[(&str, &str)]| {
            all.iter()
                .map(|(object, digest)| ((*object).to_owned(), (*digest).to_owned()))
                .collect::<Objects>()
        };
        let recorded = objects(&[("table a", "1"), ("table b", "1"), ("table c", "1")]);
        let found = compare(&recorded, &objects(&[("table a", "1"), ("table b", "2"), ("table d", "1")]));
        let named: Vec<_> =
            found.iter().map(|drift| (drift.object.as_str(), drift.change.as_str())).collect();
        assert_eq!(named, [("table b", "changed"), ("table c", "removed"), ("table d", "added")]);
    }
}
