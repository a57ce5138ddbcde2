//! One transaction of the control plane: begun together with its settings, ended once, cancelled when it is dropped.

use std::ops::Deref;
use std::time::Duration;

use metrics::counter;
use postgres_protocol::escape::escape_literal;
use rowhouse_kernel::Operation;
use tokio_postgres::Client;

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

/// How a connection returns to the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reuse {
    AsItIs,
    /// After DISCARD ALL; a dropped one is closed.
    Discarded,
}

/// A pooled connection in use. Dropped before [`InUse::finish`], it is cancelled and rolled back before it is reused,
/// or closed.
pub(super) struct InUse {
    reuse: Reuse,
    object: Option<deadpool_postgres::Object>,
    /// For the cancel request, which is a connection of its own.
    tls: Tls,
}

impl InUse {
    pub(super) fn new(object: deadpool_postgres::Object, tls: Tls, reuse: Reuse) -> Self {
        Self { object: Some(object), tls, reuse }
    }

    pub(super) fn client(&self) -> Result<&Client, DbError> {
        let object = self.object.as_ref();
        object.map(|object| &***object).ok_or_else(|| DbError::Protocol("the connection is gone".into()))
    }

    /// Begins `operation`: BEGIN and its settings are sent in one message.
    pub(super) async fn begin<'a>(&'a self, operation: &'a Operation) -> Result<Transaction<'a>, DbError> {
        let client = self.client()?;
        client.batch_execute(&begin_sql(operation)).await?;
        Ok(Transaction { client, operation })
    }

    /// Returns the connection; nothing is running on it.
    pub(super) async fn finish(mut self) {
        if self.reuse == Reuse::Discarded
            && let Some(object) = &self.object
            && let Err(error) = object.batch_execute("discard all").await
        {
            // The commit is not affected; only the connection cannot be reused.
            tracing::debug!(%error, "a session could not be discarded; its connection is closed");
            self.object.take().map(deadpool_postgres::Object::take);
        }
        drop(self.object.take());
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(abandon(object, self.tls.clone(), self.reuse))),
            Err(_) => drop(deadpool_postgres::Object::take(object)),
        }
    }
}

async fn abandon(object: deadpool_postgres::Object, tls: Tls, reuse: Reuse) {
    counter!("rowhouse_db_transactions_abandoned_total").increment(1);
    let token = object.cancel_token();
    let end = async {
        token.cancel_query(tls).await?;
        object.batch_execute("rollback").await
    };
    match tokio::time::timeout(CANCEL_TIMEOUT, end).await {
        Ok(Ok(())) if reuse == Reuse::AsItIs => drop(object),
        failed => {
            tracing::debug!(?failed, "the connection of a dropped transaction is closed");
            drop(deadpool_postgres::Object::take(object));
        }
    }
}

/// The settings are local to the transaction and need no reset.
fn begin_sql(operation: &Operation) -> String {
    let origin = &operation.origin;
    let settings = [
        ("rowhouse.operation", operation.name.to_owned()),
        ("rowhouse.actor", origin.actor.to_string()),
        ("rowhouse.request_id", origin.request_id.as_deref().unwrap_or_default().to_owned()),
        ("rowhouse.tenant", origin.tenant.map(|tenant| tenant.to_string()).unwrap_or_default()),
        ("rowhouse.address", origin.address.map(|address| address.to_string()).unwrap_or_default()),
    ];
    let set = |(name, value): (&str, String)| {
        format!("set_config('{name}', {}, true)", escape_literal(&value.replace('\0', "")))
    };
    format!("begin; select {}", settings.map(set).join(", "))
}

#[cfg(test)]
mod tests;
