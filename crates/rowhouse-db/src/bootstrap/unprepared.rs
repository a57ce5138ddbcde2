//! A database that the connected role may not prepare, and what somebody else has to run in it.

use std::fmt;

use tokio_postgres::Client;

use crate::error::DbError;

/// The logins of a data plane whose URLs are not known.
const USUAL_LOGINS: [&str; 2] = ["authenticator", "authenticator_service"];

/// A database without the grants that migrations need, on a server that has the roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unprepared {
    /// Its name.
    pub database: String,
    /// Who may not prepare it.
    pub login: String,
    /// What its owner or a superuser has to run in it; names are quoted where they have to be.
    pub statements: Vec<String>,
}

impl Unprepared {
    async fn new(client: &Client, logins: [&str; 2]) -> Result<Self, DbError> {
        let row = client.query_one("select current_database()::text, session_user::text", &[]).await?;
        Ok(Self { database: row.get(0), login: row.get(1), statements: statements(client, logins).await? })
    }

    /// As an error, if the server has the roles: without them there is nobody to grant anything to.
    pub(super) async fn find(client: &Client, logins: [&str; 2]) -> Result<Option<Self>, DbError> {
        let sql = "select count(*) = 7 from pg_roles
            where rolname = any(array['anon', 'authenticated', 'service_role', 'rowhouse_owner', 'rowhouse_project', 'rowhouse_caller', 'rowhouse'])";
        let has_roles: bool = client.query_one(sql, &[]).await?.get(0);
        if has_roles { Self::new(client, logins).await.map(Some) } else { Ok(None) }
    }
}

/// The grants of this database.
pub(super) async fn statements(client: &Client, logins: [&str; 2]) -> Result<Vec<String>, DbError> {
    let row =
        client.query_one(include_str!("../../sql/database_grants.sql"), &[&logins[0], &logins[1]]).await?;
    Ok(row.get(0))
}

/// Why migrations cannot run where nobody prepares the database, for want of the data plane's passwords.
#[derive(Debug, thiserror::Error)]
pub enum NotPrepared {
    /// The server has never been prepared.
    #[error(
        "the roles of Rowhouse are missing on this server; name an administrator in DATABASE_URL and set db.authenticator_password and db.authenticator_service_password, once"
    )]
    NoRoles,
    /// It has, for another database.
    #[error("{0}")]
    Unprepared(Unprepared),
    /// PostgreSQL refused, or is not available.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// Requires the grants that migrations need.
///
/// # Errors
/// [`NotPrepared`], with the remedy.
pub async fn require_prepared(client: &Client) -> Result<(), NotPrepared> {
    let sql = "select coalesce(bool_and(has_database_privilege(r.oid, current_database(), 'create')), false) and count(*) = 2
        from pg_roles r where r.rolname in ('rowhouse_owner', 'rowhouse_project')";
    let row = client.query_one(sql, &[]).await.map_err(DbError::from)?;
    if row.get(0) {
        return Ok(());
    }
    match Unprepared::find(client, USUAL_LOGINS).await? {
        Some(unprepared) => Err(NotPrepared::Unprepared(unprepared)),
        None => Err(NotPrepared::NoRoles),
    }
}

impl std::error::Error for Unprepared {}

impl fmt::Display for Unprepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the database {} is not prepared, and {} may not do it; as its owner or a superuser, run in it, and then `rowhouse migrate up` again:",
            self.database, self.login
        )?;
        self.statements.iter().try_for_each(|statement| write!(f, "\n{statement};"))
    }
}
