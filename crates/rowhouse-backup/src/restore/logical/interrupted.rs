//! The database into which a dump is restored: by one restore at a time. One that was killed leaves a part of the backup there, which says so
//! and is never taken for a whole; the next one replaces it. Leaves filling it to its parent.

use rowhouse_db::DbError;
use rowhouse_db::url::{describe, with_database};
use rowhouse_kernel::Secret;
use rowhouse_module::CannotRun;
use tokio_postgres::Client;

use crate::state;

/// Held by whoever restores into the database; any other number would do.
const LOCK: i64 = 0x726f_7768_7265_7374;
/// Neither is dropped by its own session.
const MAINTENANCE: [&str; 2] = ["postgres", "template1"];
/// Logins of former restores into this database, which they may connect to.
const LOGINS: &str = "
    select quote_ident(r.rolname) from pg_roles r where r.rolname ~ '^rowhouse_restore_[0-9a-f]{12}$' and exists (
      select from pg_shdepend s join pg_database d on d.oid = s.objid and d.datname = current_database()
      where s.classid = 'pg_database'::regclass and s.refclassid = 'pg_authid'::regclass and s.refobjid = r.oid)";

/// What an empty database does not have, whoever made it; extensions and their objects may be there, and a dump makes them only if they
/// are not. PostgreSQL's own objects have lower numbers.
const FIRST_OBJECT: &str = "
    select given.name from (
      select 'pg_class'::regclass, oid, relnamespace, relnamespace::regnamespace || '.' || relname from pg_class
      union all select 'pg_proc'::regclass, oid, pronamespace, 'the function ' || oid::regprocedure from pg_proc
      union all select 'pg_type'::regclass, oid, typnamespace, 'the type ' || oid::regtype from pg_type
        where typtype in ('b', 'd', 'e', 'r') and typcategory <> 'A'
      union all select 'pg_namespace'::regclass, oid, oid, 'the schema ' || oid::regnamespace from pg_namespace
      union all select 'pg_largeobject'::regclass, oid, 0::oid, 'the large object ' || oid from pg_largeobject_metadata
    ) given (class, oid, schema, name)
    where (oid >= 16384 or class = 'pg_largeobject'::regclass) and schema <> 'pg_toast'::regnamespace
      and schema::regnamespace::text !~ '^pg_(toast_)?temp_' and not exists (
        select from pg_depend d where d.classid = given.class and d.objid = given.oid and d.deptype = 'e')
    limit 1";

/// A session of the database, which is empty and nobody else's. What a killed restore has left in it is replaced if `replaces`.
pub(super) async fn enter(url: &Secret, replaces: bool) -> Result<Client, CannotRun> {
    let client = alone(url).await?;
    let Some(backup) = state::announced(&client).await? else {
        require_empty(&client).await?;
        return Ok(client);
    };
    remove_logins(&client).await?;
    if is_untouched(&client).await? {
        return Ok(client);
    }
    let place = describe(url)?;
    if !replaces {
        return Err(CannotRun::because(format!(
            "the database {place} holds a part of backup {backup}, whose restore was interrupted; with --yes it is dropped, and \
             created anew with its owner, encoding and locale"
        )));
    }
    tracing::warn!("the database {place}, with a part of backup {backup}, is dropped and created anew");
    recreate(client, url).await?;
    let client = alone(url).await?;
    require_empty(&client).await?;
    Ok(client)
}

/// Whether nothing was made in it.
pub(super) async fn is_untouched(client: &Client) -> Result<bool, DbError> {
    Ok(client.query_opt(FIRST_OBJECT, &[]).await?.is_none())
}

async fn require_empty(client: &Client) -> Result<(), CannotRun> {
    match client.query_opt(FIRST_OBJECT, &[]).await.map_err(DbError::from)? {
        None => Ok(()),
        Some(row) => Err(CannotRun::because(format!(
            "the database is not empty: it has {}; create another one for the restore",
            row.get::<_, &str>(0)
        ))),
    }
}

/// Released with the connection.
async fn alone(url: &Secret) -> Result<Client, CannotRun> {
    let client = rowhouse_db::connect(url).await?;
    let taken = client.query_one("select pg_try_advisory_lock($1)", &[&LOCK]).await.map_err(DbError::from)?;
    match taken.get(0) {
        true => Ok(client),
        false => Err(CannotRun::because(format!(
            "another restore into the database {} is at work; wait until it has ended",
            describe(url)?
        ))),
    }
}

async fn remove_logins(client: &Client) -> Result<(), DbError> {
    for row in client.query(LOGINS, &[]).await? {
        let name: &str = row.get(0);
        for sql in ["drop owned by", "drop role"] {
            client.execute(&format!("{sql} {name}"), &[]).await?;
        }
    }
    Ok(())
}

/// The server itself refuses while somebody else is connected.
async fn recreate(client: Client, url: &Secret) -> Result<(), CannotRun> {
    let row =
        client.query_one(include_str!("../../../sql/recreate.sql"), &[]).await.map_err(DbError::from)?;
    let (drop_it, create_it, name): (String, String, String) = (row.get(0), row.get(1), row.get(2));
    drop(client);
    let [usual, other] = MAINTENANCE;
    let from = if name == usual { other } else { usual };
    let client = rowhouse_db::connect(&with_database(url, from)?).await?;
    let place = describe(url).unwrap_or(name);
    let kept = |why: String| CannotRun::because(format!("the database {place} is not replaced: {why}"));
    let may = "select rolsuper or rolcreatedb from pg_roles where rolname = current_user";
    if !client.query_one(may, &[]).await.map_err(DbError::from)?.get::<_, bool>(0) {
        return Err(kept(format!(
            "this login may not create databases; as one that may, run: {drop_it}; {create_it}"
        )));
    }
    client.execute(&drop_it, &[]).await.map_err(|error| kept(DbError::from(error).to_string()))?;
    client.execute(&create_it, &[]).await.map_err(|error| {
        let error = DbError::from(error);
        CannotRun::because(format!(
            "the database {place} is dropped and could not be created anew: {error}; run: {create_it}"
        ))
    })?;
    Ok(())
}
