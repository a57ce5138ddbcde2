//! Whether `backup.dump_url` leads to the project's own database: a dump of any other would count as a backup of the project, and
//! as a way back, without being one. Names and addresses do not tell: a replica has another address, a staging copy the same name.

use rowhouse_db::DbError;
use rowhouse_db::url::describe;
use rowhouse_module::CannotRun;
use tokio_postgres::Client;

use super::{Dump, Server};
use crate::source::Source;

/// Locks are of a server and a database: only a session of the same one sees it.
const SEEN: &str = "select exists (select from pg_locks where locktype = 'advisory' and granted and objsubid = 1 \
       and database = (select oid from pg_database where datname = current_database()) \
       and (classid::bigint << 32 | objid::bigint) = $1), pg_is_in_recovery()";

/// Refuses a dump of another database than the project's.
pub(super) async fn require(dump: &Dump<'_>, client: &Client, server: &Server) -> Result<(), CannotRun> {
    let Some(url) = dump.url else { return Ok(()) };
    match is_same(dump.source, client, server).await? {
        true => Ok(()),
        false => Err(CannotRun::because(format!(
            "backup.dump_url leads to the database {}, which is not the project's, {}: a dump of it would be no backup of this \
             project; correct the URL, or unset it",
            describe(url)?,
            describe(&dump.source.url)?
        ))),
    }
}

async fn is_same(source: &Source, client: &Client, server: &Server) -> Result<bool, DbError> {
    let project = source.connect().await?;
    // In a transaction, so that a pooler keeps the session.
    project.batch_execute("begin").await?;
    let key: i64 =
        project.query_one("select hashtextextended(gen_random_uuid()::text, 0)", &[]).await?.get(0);
    project.execute("select pg_advisory_xact_lock($1)", &[&key]).await?;
    let row = client.query_one(SEEN, &[&key]).await?;
    let (is_seen, is_standby): (bool, bool) = (row.get(0), row.get(1));
    if is_seen || !is_standby {
        return Ok(is_seen);
    }
    // A standby has its primary's identifier, and none of its locks.
    let own = Server::read(&project).await?;
    Ok(!own.system_id.is_empty() && (&own.system_id, &own.database) == (&server.system_id, &server.database))
}
