//! The login that rows are restored with, and that validates them: no superuser, since checks, casts and computed columns call the
//! project's functions as whoever loads them. Another session can be no superuser again, whatever a function resets. Leaves what is loaded to its parent.

use std::collections::HashSet;

use rowhouse_db::DbError;
use rowhouse_kernel::{Rng, Secret};
use tokio_postgres::Client;

use super::post_data::Owners;

/// Owners of what is in the database, but for those that are, or can become, more than an owner.
const OWNERS: &str = "
    select distinct format('grant %I to %I', owner.rolname, $1::text), owner.rolname::text from pg_shdepend depends
      join pg_database d on d.oid = depends.dbid and d.datname = current_database()
      join pg_roles owner on owner.oid = depends.refobjid
    where depends.refclassid = 'pg_authid'::regclass and depends.deptype = 'o' and not exists (
      with recursive above (oid) as (
        select owner.oid
        union select m.roleid from pg_auth_members m join above on m.member = above.oid
      )
      select from pg_roles r join above using (oid)
      where r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolname like 'pg\\_%')";

/// What references to tables of other owners need.
const REFERENCES: &str = "
    select format('grant references on %s to %I', c.oid::regclass, $1::text) from pg_class c join pg_roles r on r.oid = c.relowner
    where c.relkind in ('r', 'p') and r.rolname <> all ($2) and c.relnamespace not in ('pg_catalog'::regnamespace,
      'information_schema'::regnamespace, 'pg_toast'::regnamespace)";

/// A login that is there for as long as rows are restored.
#[derive(Debug)]
pub(super) struct Loader {
    name: String,
    pub(super) url: Secret,
}

impl Loader {
    /// None unless the session is a superuser's: another login has nothing to lend to a function that its project has not.
    pub(super) async fn create(
        client: &Client,
        url: &Secret,
        rng: &dyn Rng,
    ) -> Result<Option<Self>, DbError> {
        let sql = "select rolsuper from pg_roles where rolname = current_user";
        if !client.query_one(sql, &[]).await?.get::<_, bool>(0) {
            return Ok(None);
        }
        let (name, password) = (format!("rowhouse_restore_{}", random::<6>(rng)), random::<24>(rng));
        let url = rowhouse_db::url::with_login(url, &name, &Secret::new(password.clone()))?;
        let sql = "select quote_ident(current_database()), (now() + interval '1 day')::text";
        let row = client.query_one(sql, &[]).await?;
        let (database, tomorrow): (&str, &str) = (row.get(0), row.get(1));
        // One transaction: a login without a grant on the database is found by no later restore. Large objects belong to their owners.
        let sql = format!(
            "create role {name} login password '{password}' valid until '{tomorrow}'; \
             grant pg_read_all_data, pg_write_all_data to {name}; grant connect on database {database} to {name}; \
             alter role {name} set lo_compat_privileges to on"
        );
        client.batch_execute(&sql).await?;
        Ok(Some(Self { name, url }))
    }

    /// May from now on call what owners may call, and add to their tables.
    pub(super) async fn join_owners(&self, client: &Client) -> Result<Owners, DbError> {
        let mut joined = HashSet::new();
        for row in client.query(OWNERS, &[&self.name]).await? {
            client.execute(row.get::<_, &str>(0), &[]).await?;
            joined.insert(row.get(1));
        }
        let names: Vec<&String> = joined.iter().collect();
        for row in client.query(REFERENCES, &[&self.name, &names]).await? {
            client.execute(row.get::<_, &str>(0), &[]).await?;
        }
        let roles = client.query("select rolname::text from pg_roles", &[]).await?;
        Ok(Owners { joined, roles: roles.iter().map(|row| row.get(0)).collect() })
    }

    pub(super) async fn remove(self, client: &Client) -> Result<(), DbError> {
        for sql in ["drop owned by", "drop role"] {
            client.execute(&format!("{sql} {}", self.name), &[]).await?;
        }
        Ok(())
    }
}

/// In hexadecimal digits.
fn random<const BYTES: usize>(rng: &dyn Rng) -> String {
    let mut bytes = [0; BYTES];
    rng.fill(&mut bytes);
    data_encoding::HEXLOWER.encode(&bytes)
}
