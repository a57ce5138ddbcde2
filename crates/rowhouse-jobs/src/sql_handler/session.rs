//! A connection that runs a function of the project, and is emptied or closed before it runs another: nothing that a session
//! can hold (cursors, temporary objects, settings, prepared statements, advisory locks, LISTEN) is left to the next.

use deadpool_postgres::Object;
use rowhouse_db::{Control, DbError};
use tokio_postgres::{CancelToken, Client, NoTls};

/// A connection inside a transaction. Dropped before its end, its statement is cancelled and the connection closed.
pub(super) struct Session {
    client: Option<Object>,
    cancel: CancelToken,
}

impl Session {
    pub(super) async fn begin(control: &Control) -> Result<Self, DbError> {
        let client = control.connection().await?;
        let cancel = client.cancel_token();
        let session = Self { client: Some(client), cancel };
        session.client().batch_execute("begin").await?;
        Ok(session)
    }

    pub(super) fn client(&self) -> &Client {
        #[expect(clippy::expect_used, reason = "only `end` and `drop` take it")]
        self.client.as_ref().expect("a session has a connection until it ends")
    }

    pub(super) async fn commit(self) -> Result<(), DbError> {
        self.end("commit").await
    }

    /// The connection is fit for another only if the answer says so.
    pub(super) async fn rollback(self) {
        if let Err(error) = self.end("rollback").await {
            tracing::debug!(%error, "the connection of a function is closed");
        }
    }

    async fn end(mut self, how: &str) -> Result<(), DbError> {
        self.client().batch_execute(how).await?;
        if let Err(error) = self.client().batch_execute("discard all").await {
            // What was committed stays so; only the connection is of no more use.
            tracing::debug!(%error, "the connection of a function is closed");
            return Ok(());
        }
        // Back to the pool.
        drop(self.client.take());
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        drop(Object::take(client));
        // Else the statement would hold its locks until it ends.
        let cancel = self.cancel.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { cancel.cancel_query(NoTls).await });
        }
    }
}
