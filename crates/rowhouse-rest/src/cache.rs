//! The schema snapshot that requests are planned against: replaced as a whole, read without locks.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rowhouse_db::DbError;
use rowhouse_db::catalog::{self, Snapshot};

/// Holds the current snapshot. If a reload fails, the previous one stays.
#[derive(Debug, Default)]
pub struct SchemaCache(ArcSwapOption<Snapshot>);

impl SchemaCache {
    /// An empty cache: every request is answered 503 until the first reload.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// The newest snapshot, if there is one.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Snapshot>> {
        self.0.load_full()
    }

    /// Replaces the snapshot.
    pub fn replace(&self, snapshot: Snapshot) {
        self.0.store(Some(Arc::new(snapshot)));
    }

    /// Reads `schemas` over `client` and replaces the snapshot.
    ///
    /// # Errors
    /// Whatever the database answers; the old snapshot then stays.
    pub async fn reload(&self, client: &tokio_postgres::Client, schemas: &[String]) -> Result<(), DbError> {
        self.replace(catalog::load(client, schemas).await?);
        Ok(())
    }
}
