//! A pooled connection for the program's own statements, which it prepares once. Leaves code of the project to named
//! transactions, after which the session is reset.

use std::ops::Deref;

use deadpool_postgres::ClientWrapper;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};

/// Dereferences to its connection.
#[derive(Debug)]
pub struct OwnSession<'a>(&'a ClientWrapper);

impl<'a> OwnSession<'a> {
    pub(super) fn new(client: &'a ClientWrapper) -> Self {
        Self(client)
    }

    /// At most one row of a statement that is prepared the first time the connection runs it, and not planned again.
    ///
    /// # Errors
    /// The database's; or if there are several rows.
    pub async fn query_prepared_opt(
        &self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Option<Row>, Error> {
        let types: Vec<Type> = parameters.iter().map(|(_, kind)| kind.clone()).collect();
        let values: Vec<_> = parameters.iter().map(|(value, _)| *value).collect();
        self.0.query_opt(&self.0.prepare_typed_cached(sql, &types).await?, &values).await
    }
}

impl Deref for OwnSession<'_> {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.0
    }
}
