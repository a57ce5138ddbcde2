//! Imports: many statements as one transaction, sent while their values are still arriving.
//!
//! Each batch is Bind, Execute and Flush; the Sync at the end commits them all. A batch is only sent once the
//! previous one is answered (else both sides could wait for the other to read); the caller prepares the next
//! meanwhile.

use std::sync::Arc;

use super::connection::{Flying, Phase, Taken, read_row};
use super::pipeline::{Pipeline, Statement};
use super::places::Place;
use super::plane::UNDO;
use super::pool::PooledConnection;
use super::{End, Query, Row};
use crate::error::DbError;
use crate::liveness::Liveness;

/// A running import. Dropping it before [`Import::finish`] rolls it back.
pub struct Import {
    pooled: PooledConnection,
    flying: Flying,
    /// Statements sent, and how many of them only opened the transaction.
    sent: usize,
    opening: usize,
    rows: Vec<Row>,
    role: Arc<str>,
    end: End,
    liveness: Liveness,
    /// One of this pool's streams.
    _place: Place,
}

impl Import {
    /// Sends the opening statements and the first batch, which is the last of them, and waits for their answers.
    pub(super) async fn start(
        (pooled, place): (PooledConnection, Place),
        liveness: Liveness,
        end: End,
        pipeline: &Pipeline<'_>,
    ) -> Result<Self, DbError> {
        let opening = pipeline.answering;
        let role =
            pipeline.statements.last().map_or_else(|| "".into(), |statement| Arc::clone(statement.role));
        let flying = Flying::discarding();
        let mut import =
            Self { pooled, flying, sent: 0, opening, rows: Vec::new(), role, end, liveness, _place: place };
        let liveness = import.liveness.clone();
        liveness.guard(import.take_off(pipeline)).await?;
        Ok(import)
    }

    async fn take_off(&mut self, pipeline: &Pipeline<'_>) -> Result<(), DbError> {
        self.send_first(pipeline).await?;
        match self.read_answers().await {
            Err(_) if self.pooled.connection()?.must_recover => {
                self.pooled.connection()?.recover().await?;
                self.send_first(pipeline).await?;
                self.read_answers().await
            }
            answered => answered,
        }
    }

    async fn send_first(&mut self, pipeline: &Pipeline<'_>) -> Result<(), DbError> {
        let connection = self.pooled.connection()?;
        connection.out.clear();
        self.flying = connection.write(pipeline)?;
        // The rows of all batches are kept, by the import.
        self.flying.answering = usize::MAX;
        self.sent = 0;
        self.flush(pipeline.statements.len()).await
    }

    /// Waits for the answers to what was sent.
    ///
    /// # Errors
    /// What the database refused; everything is rolled back then.
    pub async fn answered(&mut self) -> Result<(), DbError> {
        let liveness = self.liveness.clone();
        liveness.guard(self.read_answers()).await
    }

    /// Sends a batch, once what was sent before is answered.
    ///
    /// # Errors
    /// Those of [`Import::answered`].
    pub async fn batch(&mut self, query: &Query) -> Result<(), DbError> {
        let (liveness, role) = (self.liveness.clone(), Arc::clone(&self.role));
        let statement = Statement { role: &role, query };
        let work = async {
            self.read_answers().await?;
            self.send(&[statement]).await
        };
        liveness.guard(work).await
    }

    /// Ends the transaction as the context specifies. Returns the rows of all batches, in order.
    ///
    /// # Errors
    /// What the database refused, at the latest when committing.
    pub async fn finish(mut self) -> Result<Vec<Row>, DbError> {
        let liveness = self.liveness.clone();
        liveness.guard(self.close()).await?;
        Ok(self.rows)
    }

    async fn close(&mut self) -> Result<(), DbError> {
        self.read_answers().await?;
        if self.end == End::Rollback {
            let role = Arc::clone(&self.role);
            let undo: Vec<_> = UNDO.iter().map(|query| Statement { role: &role, query }).collect();
            self.send(&undo).await?;
        }
        self.sync().await
    }

    async fn send(&mut self, statements: &[Statement<'_>]) -> Result<(), DbError> {
        let connection = self.pooled.connection()?;
        connection.out.clear();
        self.flying.new.extend(connection.write_statements(statements)?);
        self.flush(statements.len()).await
    }

    async fn flush(&mut self, statements: usize) -> Result<(), DbError> {
        let connection = self.pooled.connection()?;
        connection.out.flush();
        connection.send().await?;
        // Without a Sync there is no ReadyForQuery to wait for.
        connection.phase = Phase::Midway;
        self.sent += statements;
        Ok(())
    }

    /// Reads until everything sent is answered.
    async fn read_answers(&mut self) -> Result<(), DbError> {
        while self.flying.completed < self.sent && self.flying.error.is_none() {
            let taken = self.pooled.connection()?.take(&mut self.flying).await?;
            if let Taken::Row(row) = taken
                && self.flying.completed >= self.opening
            {
                self.rows.push(read_row(&row)?);
            }
        }
        if self.flying.error.is_some() { self.sync().await } else { Ok(()) }
    }

    /// Sends Sync and reads to ReadyForQuery.
    async fn sync(&mut self) -> Result<(), DbError> {
        let connection = self.pooled.connection()?;
        connection.out.clear();
        connection.out.sync();
        connection.send().await?;
        connection.read_to_end(&mut self.flying).await?;
        connection.land(std::mem::take(&mut self.flying)).map(drop)
    }
}
