//! The handler of `mail.prune`: deletes messages with their recipients and history once `mail.retention` has passed
//! since the last recipient's final state, and expired suppressions.

use rowhouse_kernel::Operation;
use std::time::Duration;

use rowhouse_db::{Control, DbError};
use rowhouse_jobs::{Handler, HandlerFuture, Job, JobError, JobResult};
use serde_json::json;

use crate::store;

/// Messages deleted in one transaction.
const BATCH: i64 = 1000;
/// Transactions in one run; the next run deletes the rest.
const MOST_BATCHES: u32 = 1000;

#[derive(Debug)]
pub(crate) struct Prune {
    pub(crate) control: Control,
    pub(crate) retention: Duration,
}

impl Prune {
    async fn all(&self) -> Result<u64, DbError> {
        let (mut total, retention) = (0, self.retention.as_secs_f64());
        for _ in 0..MOST_BATCHES {
            let batch =
                async move |tx: &rowhouse_db::Transaction<'_>| store::prune(tx, retention, BATCH).await;
            let deleted = self.control.run_tx(&Operation::system("mail_prune"), batch).await?;
            total += deleted;
            if deleted == 0 {
                break;
            }
        }
        let drafts = async move |tx: &rowhouse_db::Transaction<'_>| store::prune_drafts(tx, retention).await;
        self.control.run_tx(&Operation::system("mail_prune_drafts"), drafts).await?;
        let expired = async |tx: &rowhouse_db::Transaction<'_>| store::prune_suppressions(tx).await;
        self.control.run_tx(&Operation::system("mail_prune_suppressions"), expired).await?;
        Ok(total)
    }
}

impl Handler for Prune {
    fn run<'a>(&'a self, _job: &'a Job) -> HandlerFuture<'a> {
        Box::pin(async move { prune(self).await })
    }
}

async fn prune(prune: &Prune) -> JobResult {
    let deleted = prune.all().await.map_err(|error| JobError::Retry(error.to_string()))?;
    Ok(Some(json!({ "deleted": deleted }).into()))
}
