//! One transaction of the control plane: begun together with its settings, ended once, cancelled when it is dropped.

use std::ops::Deref;
use std::time::Duration;

use futures_util::future::{join_all, join3};
use metrics::counter;
use postgres_protocol::escape::escape_literal;
use rowhouse_kernel::Operation;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use super::session::{Ended, SessionReset};
use crate::error::DbError;
use crate::tls::Tls;

/// How long a dropped transaction may take to be cancelled and rolled back before its connection is closed.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// An open transaction. It dereferences to its connection, on which statements are run.
#[derive(Debug)]
pub struct Transaction<'a> {
    client: &'a Client,
    operation: &'a Operation,
}

impl<'a> Transaction<'a> {
    /// The operation.
    #[must_use]
    pub fn operation(&self) -> &'a Operation {
        self.operation
    }
}

impl Deref for Transaction<'_> {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client
    }
}

/// A statement of [`super::Control::run_batch`].
#[derive(Debug, Clone, Copy)]
pub struct Batched<'a> {
    /// Its text, with `$1`…
    pub sql: &'a str,
    /// Its values.
    pub parameters: &'a [(&'a (dyn ToSql + Sync), Type)],
}

/// A pooled connection in use. Its session is reset before it returns to the pool; if that fails, it is closed. Dropped
/// before its end, it is cancelled and rolled back first.
pub(super) struct InUse {
    object: Option<deadpool_postgres::Object>,
    session_reset: SessionReset,
    /// For the cancel request, which is a connection of its own.
    tls: Tls,
}

impl InUse {
    pub(super) fn new(object: deadpool_postgres::Object, session_reset: SessionReset, tls: Tls) -> Self {
        Self { object: Some(object), session_reset, tls }
    }

    pub(super) fn client(&self) -> Result<&Client, DbError> {
        Ok(self.object()?)
    }

    pub(super) fn object(&self) -> Result<&deadpool_postgres::ClientWrapper, DbError> {
        let object = self.object.as_ref();
        object.map(|object| &**object).ok_or_else(|| DbError::Protocol("the connection is gone".into()))
    }

    /// Begins `operation`: BEGIN and its settings are sent in one message.
    pub(super) async fn begin<'a>(&'a self, operation: &'a Operation) -> Result<Transaction<'a>, DbError> {
        let client = self.client()?;
        client.batch_execute(&begin_sql(operation)).await?;
        Ok(Transaction { client, operation })
    }

    /// Commits and resets the session, in one message.
    pub(super) async fn commit(self) -> Result<(), DbError> {
        self.end("commit;").await
    }

    /// Rolls back and resets the session, in one message.
    pub(super) async fn roll_back(self) {
        // If the rollback fails, the connection is lost, which also rolls back.
        let _lost = self.end("rollback;").await;
    }

    /// Sends BEGIN with its settings, the statements, COMMIT and the reset without waiting in between. After a failed
    /// statement PostgreSQL takes COMMIT for a rollback.
    pub(super) async fn run_batch(
        self,
        operation: &Operation,
        statements: &[Batched<'_>],
    ) -> Result<Vec<Vec<Row>>, DbError> {
        let client = self.client()?;
        let begin = begin_sql(operation);
        let mut asked = Vec::with_capacity(statements.len());
        for statement in statements {
            asked.push(client.query_typed(statement.sql, statement.parameters));
        }
        // Each of them sends its message when it is polled first, and they are polled in this order.
        let (begun, rows, ended) =
            join3(client.batch_execute(&begin), join_all(asked), self.session_reset.run(client, "commit;"))
                .await;
        let closed = self.close(ended).await;
        begun?;
        let rows = rows.into_iter().collect::<Result<_, _>>()?;
        closed.map(|()| rows)
    }

    /// Returns the connection without a reset; no transaction is open.
    pub(super) fn keep(mut self) {
        drop(self.object.take());
    }

    /// Closes the connection; no transaction is open.
    pub(super) fn discard(mut self) {
        drop(self.object.take().map(deadpool_postgres::Object::take));
    }

    /// Resets the session in the background; no transaction is open.
    pub(super) fn release(self) {
        if tokio::runtime::Handle::try_current().is_ok() {
            tokio::spawn(async move { self.end("").await });
        }
    }

    async fn end(self, statement: &str) -> Result<(), DbError> {
        let ended = self.session_reset.run(self.client()?, statement).await;
        self.close(ended).await
    }

    async fn close(mut self, mut ended: Ended) -> Result<(), DbError> {
        let client = self.client()?;
        if ended.failed.is_some() && !client.is_closed() {
            // What followed the statement in its message was skipped.
            ended.is_reset = self.session_reset.run(client, "").await.is_reset;
        }
        if let Some(object) = self.object.take() {
            give_back(object, ended.is_reset);
        }
        ended.failed.map_or(Ok(()), |error| Err(error.into()))
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(abandon(object, self.session_reset.clone(), self.tls.clone()))),
            Err(_) => drop(deadpool_postgres::Object::take(object)),
        }
    }
}

async fn abandon(object: deadpool_postgres::Object, session_reset: SessionReset, tls: Tls) {
    counter!("rowhouse_db_transactions_abandoned_total").increment(1);
    let token = object.cancel_token();
    let end = async {
        token.cancel_query(tls).await?;
        Ok::<_, tokio_postgres::Error>(session_reset.run(&object, "rollback;").await.is_reset)
    };
    let is_reset = matches!(tokio::time::timeout(CANCEL_TIMEOUT, end).await, Ok(Ok(true)));
    give_back(object, is_reset);
}

fn give_back(object: deadpool_postgres::Object, is_reset: bool) {
    if !is_reset {
        tracing::debug!("a session could not be reset; its connection is closed");
        drop(deadpool_postgres::Object::take(object));
    }
}

/// The settings are local to the transaction and need no reset.
fn begin_sql(operation: &Operation) -> String {
    let origin = &operation.origin;
    let settings = [
        ("rowhouse.operation", operation.name.to_owned()),
        ("rowhouse.actor", origin.actor.to_string()),
        ("rowhouse.impersonator", origin.actor.impersonator().map(|id| id.to_string()).unwrap_or_default()),
        ("rowhouse.request_id", origin.request_id.as_deref().unwrap_or_default().to_owned()),
        ("rowhouse.tenant", origin.tenant.map(|tenant| tenant.to_string()).unwrap_or_default()),
        ("rowhouse.address", origin.address.map(|address| address.to_string()).unwrap_or_default()),
        ("rowhouse.user_agent", origin.user_agent.as_deref().unwrap_or_default().to_owned()),
    ];
    let set = |(name, value): (&str, String)| {
        format!("pg_catalog.set_config('{name}', {}, true)", escape_literal(&value.replace('\0', "")))
    };
    format!("begin; select {}", settings.map(set).join(", "))
}

#[cfg(test)]
mod tests;
