//! What a database says of its own backups (`rowhouse.backup_state`): whether they are wanted, and whether it is a restored copy.
//! The replication slot alone says neither: a failover, a restore and a superuser remove it.

use rowhouse_db::migrate::Migration;
use rowhouse_db::{Control, DbError};
use rowhouse_module::CannotRun;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};

/// Also before the platform's first migration, when there is no such table.
const EXISTS: &str = "select to_regclass('rowhouse.backup_state') is not null";

/// What is known of backups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// Whether the server keeps write-ahead log for them.
    pub(crate) has_slot: bool,
    /// Since when they are wanted.
    pub(crate) wanted_since: Option<OffsetDateTime>,
    /// The backup of which this database is a copy.
    pub(crate) copy_of: Option<String>,
}

impl State {
    fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self { has_slot: row.try_get(0)?, wanted_since: row.try_get(1)?, copy_of: row.try_get(2)? })
    }

    /// Why nothing is received although it should be.
    pub(crate) fn trouble(&self, slot: &str) -> Option<String> {
        let since = self.wanted_since.filter(|_| !self.has_slot)?.format(&Rfc3339).unwrap_or_default();
        Some(format!(
            "backups are wanted since {since}, and the replication slot {slot} is gone, as after a failover or a restore in \
             place; run `rowhouse backup create`, or `rowhouse backup disable --yes` if they are not wanted any more"
        ))
    }
}

/// The backup that is being restored into this database, or whose restore has not ended: a setting of the database, which is
/// read where it is stored, since sessions that were there before do not have it.
const ANNOUNCED: &str = "(select substr(pair, 18) from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase \
                         cross join lateral unnest(s.setconfig) pair where d.datname = current_database() \
                         and s.setrole = 0 and starts_with(pair, 'rowhouse.copy_of='))";

fn sql_to_read() -> String {
    format!(
        "select exists (select from pg_replication_slots where slot_name = $1), s.wanted_since, \
         coalesce(s.copy_of, {ANNOUNCED}) from rowhouse.backup_state s"
    )
}

/// Of a process's database; asked over the pool, since most clusters have no slot.
pub(crate) async fn read(control: &Control, slot: &str) -> Result<State, DbError> {
    Ok(State::read(&control.connection().await?.query_one(&sql_to_read(), &[&slot]).await?)?)
}

/// The same for a command.
pub(crate) async fn read_with(client: &Client, slot: &str) -> Result<Option<State>, DbError> {
    match exists(client).await? {
        true => Ok(Some(State::read(&client.query_one(&sql_to_read(), &[&slot]).await?)?)),
        false => Ok(None),
    }
}

async fn exists(client: &Client) -> Result<bool, tokio_postgres::Error> {
    client.query_one(EXISTS, &[]).await?.try_get(0)
}

/// Backups are wanted from now on, unless they were already.
pub(crate) async fn want(client: &Client) -> Result<(), DbError> {
    set(
        client,
        "update rowhouse.backup_state set wanted_since = clock_timestamp() where wanted_since is null",
    )
    .await
}

/// Backups are not wanted any more.
pub(crate) async fn unwant(client: &Client) -> Result<(), DbError> {
    set(client, "update rowhouse.backup_state set wanted_since = null where wanted_since is not null").await
}

/// Makes it an original; the backup of which it was a copy, if it was one.
pub(crate) async fn activate(client: &Client) -> Result<Option<String>, DbError> {
    if !exists(client).await? {
        return Ok(None);
    }
    let sql = "update rowhouse.backup_state n set copy_of = null from rowhouse.backup_state o \
               where o.copy_of is not null returning o.copy_of";
    Ok(client.query_opt(sql, &[]).await?.map(|row| row.get(0)))
}

/// The backup whose restore into this database has not ended.
pub(crate) async fn announced(client: &Client) -> Result<Option<String>, DbError> {
    Ok(client.query_one(&format!("select {ANNOUNCED}"), &[]).await?.get(0))
}

/// Refuses a database in which a restore is at work, or has left a part: it is no copy, takes nobody's place, and whatever is made
/// in it meanwhile ends the restore. To be called before anything is.
///
/// # Errors
/// If there is a part, or the database does not answer.
pub async fn require_whole(client: &Client) -> Result<(), CannotRun> {
    whole(announced(client).await?)
}

/// The same for a process that starts. Whether the database answers is a check of its own.
pub(crate) async fn require_whole_at_start(control: &Control) -> Result<(), CannotRun> {
    let asked = async {
        let row = control.connection().await?.query_one(&format!("select {ANNOUNCED}"), &[]).await?;
        Ok::<Option<String>, DbError>(row.get(0))
    };
    whole(asked.await.unwrap_or_default())
}

fn whole(announced: Option<String>) -> Result<(), CannotRun> {
    match announced {
        None => Ok(()),
        Some(backup) => Err(CannotRun::because(format!(
            "this database holds a part of backup {backup}: its restore goes on, or was interrupted. To replace it, run: rowhouse \
             backup restore {backup} --database URL --yes"
        ))),
    }
}

/// Says that what is being restored here is a copy, before there is a table for it; false if the login may not.
pub(crate) async fn announce_copy(client: &Client, backup: &str) -> Result<bool, DbError> {
    let sql = "select format('alter database %I set rowhouse.copy_of to %L', current_database(), $1::text)";
    let sql: String = client.query_one(sql, &[&backup]).await?.get(0);
    match client.execute(&sql, &[]).await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A copy says so, and wants no backups: whose place it takes is for somebody to decide.
pub(crate) async fn mark_copy(client: &Client, backup: &str) -> Result<(), DbError> {
    if !exists(client).await? {
        create_table(client).await?;
    }
    if exists(client).await? {
        let sql = "update rowhouse.backup_state set copy_of = $1, wanted_since = null";
        client.execute(sql, &[&backup]).await?;
    }
    conclude(client).await
}

/// The announcement has done its part.
pub(crate) async fn conclude(client: &Client) -> Result<(), DbError> {
    if client.query_one(&format!("select {ANNOUNCED} is not null"), &[]).await?.get(0) {
        let sql = "select format('alter database %I reset rowhouse.copy_of', current_database())";
        let sql: String = client.query_one(sql, &[]).await?.get(0);
        client.execute(&sql, &[]).await?;
    }
    Ok(())
}

/// Runs the migration that makes the table, where a database of the platform is older than it: the next `up` would make it with
/// nothing in it, and the copy would act. A database without the platform has nothing that acts.
async fn create_table(client: &Client) -> Result<(), DbError> {
    let has_platform =
        "select to_regclass('rowhouse.migrations') is not null and to_regrole('rowhouse_owner') is not null";
    if !client.query_one(has_platform, &[]).await?.get::<_, bool>(0) {
        return Ok(());
    }
    for (name, sql) in rowhouse_db::MIGRATIONS.iter().filter(|(name, _)| name.ends_with("_backup_state.sql"))
    {
        let migration = Migration::new(*name, sql);
        client.batch_execute(&format!("begin; set local role rowhouse_owner; {}", migration.sql)).await?;
        let record = "insert into rowhouse.migrations (kind, name, checksum, program_version) values ('platform', $1, $2, $3)";
        let (checksum, version) = (migration.checksum(), env!("CARGO_PKG_VERSION"));
        client.execute(record, &[&migration.name, &checksum, &version]).await?;
        client.batch_execute("commit").await?;
    }
    Ok(())
}

async fn set(client: &Client, sql: &str) -> Result<(), DbError> {
    if exists(client).await? {
        client.execute(sql, &[]).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::State;

    #[test]
    fn slot_that_is_gone_is_trouble_only_while_backups_are_wanted() {
        let wanted =
            State { has_slot: false, wanted_since: Some(datetime!(2026-11-28 10:00 UTC)), copy_of: None };
        let why = wanted.trouble("rowhouse_backup").unwrap_or_default();
        assert!(
            why.contains("since 2026-11-28T10:00:00Z") && why.contains("`rowhouse backup create`"),
            "{why}"
        );
        assert_eq!(State { has_slot: true, ..wanted.clone() }.trouble("s"), None);
        assert_eq!(State { wanted_since: None, ..wanted }.trouble("s"), None);
    }
}
