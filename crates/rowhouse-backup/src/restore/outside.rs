//! Makes a restored cluster that `up` did not create one that it serves: `up` signs in as the superuser `postgres`, and the
//! project's database is `postgres`. Leaves its configuration to `config`.

use rowhouse_db::DbError;
use rowhouse_db::embedded::Temporary;
use rowhouse_module::{CannotRun, Secrets};
use tokio_postgres::Client;

use super::password;

/// The database that `up` serves.
const SERVED: &str = "postgres";
/// What the copy's own database of that name becomes.
const BEFORE: &str = "postgres_before";
/// A cluster may have been created with another superuser.
const SUPERUSER: &str = "do $$ begin
    if not exists (select from pg_roles where rolname = 'postgres') then create role postgres; end if;
    alter role postgres superuser createdb createrole replication bypassrls login;
end $$";
/// Nobody else can reach the server: these are sessions of this program, which are ending, and of autovacuum.
const END_SESSIONS: &str = "select count(pg_terminate_backend(pid, 60000)) from pg_stat_activity
    where datname in ('postgres', $1) and pid <> pg_backend_pid()";

/// Gives it the superuser, the passwords and the database; says what was renamed.
pub(crate) async fn prepare(
    server: &mut Temporary,
    (superuser, database): (&str, &str),
    secrets: &Secrets,
) -> Result<Option<String>, CannotRun> {
    let client = server.connect(superuser).await?;
    client.batch_execute(SUPERUSER).await.map_err(DbError::from)?;
    password::set(&client, secrets).await?;
    if database == SERVED {
        return Ok(None);
    }
    drop(client);
    // Neither of the two can be renamed by its own session.
    let client = rowhouse_db::connect(&server.url(superuser, "template1")).await?;
    rename(&client, database).await?;
    Ok(Some(format!(
        "`up` serves the database {SERVED}: {database} was renamed to it, and what had that name to {BEFORE}"
    )))
}

async fn rename(client: &Client, database: &str) -> Result<(), DbError> {
    client.execute(END_SESSIONS, &[&database]).await?;
    let sql = "select format('alter database %1$I rename to %2$I; alter database %3$I rename to %1$I', $1::text, $2::text, $3::text)";
    let row = client.query_one(sql, &[&SERVED, &BEFORE, &database]).await?;
    Ok(client.batch_execute(row.get(0)).await?)
}
