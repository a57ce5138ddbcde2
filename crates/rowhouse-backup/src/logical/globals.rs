//! What belongs to the server and not to the database, and is needed to restore a dump: roles without passwords, their
//! memberships and settings, and the grants on the database. Leaves making them to `restore::logical`.

use rowhouse_db::DbError;
use rowhouse_module::CannotRun;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Globals {
    pub(crate) roles: Vec<Role>,
    pub(crate) memberships: Vec<Membership>,
    pub(crate) settings: Vec<Setting>,
    pub(crate) grants: Vec<Grant>,
}

/// A role. Whether it is a superuser is not kept: a restore makes none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) login: bool,
    pub(crate) inherit: bool,
    pub(crate) create_role: bool,
    pub(crate) create_db: bool,
    pub(crate) bypass_rls: bool,
    pub(crate) replication: bool,
    /// -1: none.
    pub(crate) connection_limit: i32,
}

/// A role that is a member of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Membership {
    pub(crate) role: String,
    pub(crate) member: String,
    pub(crate) admin: bool,
    /// None before PostgreSQL 16.
    pub(crate) inherit: Option<bool>,
    /// None before PostgreSQL 16.
    pub(crate) set: Option<bool>,
}

/// `alter role … set`, `alter database … set`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setting {
    /// None: whoever uses the database.
    pub(crate) role: Option<String>,
    pub(crate) in_database: bool,
    /// `name=value`.
    pub(crate) setting: String,
}

/// A privilege on the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    /// None: everybody.
    pub(crate) role: Option<String>,
    pub(crate) privilege: String,
    pub(crate) grantable: bool,
}

impl Globals {
    /// Those of the connection's database, in the snapshot of its transaction.
    pub(super) async fn read(client: &Client) -> Result<Self, CannotRun> {
        let row = client.query_one(include_str!("../../sql/globals.sql"), &[]).await;
        Ok(serde_json::from_str(row.map_err(DbError::from)?.get(0))?)
    }
}
