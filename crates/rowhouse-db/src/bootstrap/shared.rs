//! Objects of other roles in a database, and the privileges that preparing it revokes from them.

use std::fmt;

use tokio_postgres::Client;

use crate::error::DbError;

/// A database with objects of others, who hold privileges as PUBLIC that preparing it revokes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// Its name.
    pub database: String,
    /// Number of tables, views and sequences of other roles.
    pub objects: i64,
    /// Who owns them.
    pub owners: Vec<String>,
    /// What PUBLIC loses: "CONNECT on database app".
    pub revoked: Vec<String>,
}

impl Shared {
    pub(super) async fn find(client: &Client) -> Result<Option<Self>, DbError> {
        let row = client.query_one(include_str!("../../sql/shared.sql"), &[]).await?;
        let shared =
            Self { database: row.get(0), objects: row.get(1), owners: row.get(2), revoked: row.get(3) };
        Ok(Some(shared).filter(|shared| shared.objects > 0 && !shared.revoked.is_empty()))
    }
}

impl std::error::Error for Shared {}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "database {} holds {} tables, views or sequences of {}; preparing it revokes {} from PUBLIC, so whoever else uses them needs grants of their own (grant connect on database, grant usage on schema public)",
            self.database,
            self.objects,
            self.owners.join(", "),
            self.revoked.join(" and ")
        )
    }
}
