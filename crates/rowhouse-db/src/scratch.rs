//! A database of its own beside another one of the same server, for trying migrations: made when it is needed, always dropped.
//! Leaves what is put into it to the caller.
//!
//! A copy by `create database … template` would need the other database without connections, so it begins empty.

use rowhouse_kernel::Secret;
use tokio_postgres::Client;

use crate::connect::{connect, connect_to};
use crate::error::DbError;

/// Why there is no database to try migrations in; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// The login may not create one.
    #[error(
        "the login {0} may not create the database that migrations are tried in; as a superuser: alter role \"{0}\" createdb"
    )]
    MayNot(String),
    /// PostgreSQL refused, or is not available.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<tokio_postgres::Error> for ScratchError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

/// The database. [`Scratch::remove`] drops it; if the process dies before, [`remove_leftovers`] does, which the next one that makes one
/// calls.
#[derive(Debug)]
pub struct Scratch {
    /// Its name: `rowhouse_scratch_16384_…`, with the id of the database beside which it stands.
    pub name: String,
    owner: Secret,
    login: Secret,
    /// Connected to the other database; holds the advisory lock that says somebody still uses this one.
    keeper: Client,
}

impl Scratch {
    /// Makes one beside the database of `owner`, whose login owns it, and drops those that dead processes have left. What is
    /// tried in it runs as `login`, as it would in the other database: the owner may be the superuser of the whole cluster.
    ///
    /// # Errors
    /// See [`ScratchError`].
    pub async fn create(owner: &Secret, login: &Secret) -> Result<Self, ScratchError> {
        let keeper = connect(owner).await?;
        let row = keeper.query_one(include_str!("../sql/scratch_name.sql"), &[]).await?;
        let (name, may_create): (String, bool) = (row.get(0), row.get(1));
        if !may_create {
            return Err(ScratchError::MayNot(row.get(2)));
        }
        remove_leftovers(&keeper).await?;
        keeper.execute("select pg_advisory_lock(hashtextextended($1, 0))", &[&name]).await?;
        keeper.batch_execute(&format!("create database \"{name}\" template template0")).await?;
        Ok(Self { name, owner: owner.clone(), login: login.clone(), keeper })
    }

    /// A connection to it as its owner, for what the login has to find there: privileges and extensions.
    ///
    /// # Errors
    /// Those of [`connect`].
    pub async fn connect_as_owner(&self) -> Result<Client, DbError> {
        connect_to(&self.owner, &self.name).await
    }

    /// A connection to it as the login.
    ///
    /// # Errors
    /// Those of [`connect`].
    pub async fn connect(&self) -> Result<Client, DbError> {
        connect_to(&self.login, &self.name).await
    }

    /// A connection to it as the login, for copying rows. If the owner is a superuser, who may decide that, no trigger runs in it and
    /// no reference is checked.
    ///
    /// # Errors
    /// Those of [`connect`].
    pub async fn connect_for_rows(&self) -> Result<Client, DbError> {
        let is_superuser = "select current_setting('is_superuser')::bool";
        if !self.keeper.query_one(is_superuser, &[]).await?.get::<_, bool>(0) {
            return self.connect().await;
        }
        let login = crate::url::login(&self.login)?.replace('"', "\"\"");
        let of_login = format!("alter role \"{login}\" in database \"{}\"", self.name);
        let set = format!("{of_login} set session_replication_role = replica");
        self.keeper.batch_execute(&set).await?;
        let client = self.connect().await;
        self.keeper.batch_execute(&format!("{of_login} reset session_replication_role")).await?;
        client
    }

    /// Drops it, whoever is connected.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove(self) -> Result<(), DbError> {
        drop_database(&self.keeper, &self.name).await
    }
}

/// A database that a dead process has left: nobody holds its lock, and nobody is connected to it.
struct Leftover {
    name: String,
    /// Whether this login owns it.
    may_drop: bool,
}

/// What dead processes have left beside the database of `client`, by name.
///
/// # Errors
/// The database's.
pub async fn leftovers(client: &Client) -> Result<Vec<String>, DbError> {
    let found = lock_leftovers(client).await?;
    for leftover in &found {
        unlock(client, &leftover.name).await?;
    }
    Ok(found.into_iter().map(|leftover| leftover.name).collect())
}

/// Drops what dead processes have left beside the database of `keeper`, as far as its login owns it.
///
/// # Errors
/// The database's.
pub async fn remove_leftovers(keeper: &Client) -> Result<(), DbError> {
    for Leftover { name, may_drop } in lock_leftovers(keeper).await? {
        if may_drop {
            match drop_unused(keeper, &name).await {
                // Somebody has connected meanwhile.
                Err(error) if error.code() == Some("55006") => {}
                dropped => {
                    dropped?;
                    tracing::info!("dropped {name}, which a process had left");
                }
            }
        }
        unlock(keeper, &name).await?;
    }
    Ok(())
}

/// Their locks stay with the session: nobody else drops them meanwhile.
async fn lock_leftovers(client: &Client) -> Result<Vec<Leftover>, DbError> {
    let rows = client.query(include_str!("../sql/scratch_leftovers.sql"), &[]).await?;
    let leftover = |row: &tokio_postgres::Row| Leftover { name: row.get(0), may_drop: row.get(1) };
    Ok(rows.iter().map(leftover).collect())
}

async fn unlock(client: &Client, name: &str) -> Result<(), DbError> {
    client.execute("select pg_advisory_unlock(hashtextextended($1, 0))", &[&name]).await?;
    Ok(())
}

async fn drop_unused(keeper: &Client, name: &str) -> Result<(), DbError> {
    let name = name.replace('"', "\"\"");
    Ok(keeper.batch_execute(&format!("drop database if exists \"{name}\"")).await?)
}

async fn drop_database(keeper: &Client, name: &str) -> Result<(), DbError> {
    let name = name.replace('"', "\"\"");
    keeper
        .batch_execute(&format!("drop database if exists \"{name}\" with (force)"))
        .await
        .map_err(DbError::from)
}
