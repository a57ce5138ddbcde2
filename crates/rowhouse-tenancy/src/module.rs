//! Tenancy as a capability of the program: its schema, and the tenants' limits kept in step with the database.

use std::sync::Arc;
use std::time::Duration;

use rowhouse_db::migrate::Statement;
use rowhouse_db::{Database, DbError, Heard};
use rowhouse_http::BackgroundTask;
use rowhouse_kernel::settings::Settings;
use rowhouse_module::{Assembly, CannotRun, CommandGroup, Module, ModuleFuture};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio_postgres::Client;

use crate::limit::{CHANNEL, TenantLimits};

/// Pause before a failed reload is tried again, unless a notice comes first.
const RETRY: Duration = Duration::from_secs(2);
/// Pause while nothing is due; a notice ends it.
const NEVER: Duration = Duration::from_secs(86_400);

/// Organizations, tenants, memberships. Provides [`TenantLimits`].
#[derive(Debug, Clone, Copy)]
pub struct TenancyModule;

impl Module for TenancyModule {
    fn name(&self) -> &'static str {
        "tenancy"
    }

    fn migrations(&self) -> &'static [Statement] {
        crate::MIGRATIONS
    }

    fn commands(&self) -> Vec<CommandGroup> {
        vec![crate::command::TENANTS]
    }

    fn channels(&self) -> &'static [&'static str] {
        &[CHANNEL]
    }

    /// Foreign keys that came with the migrations get their tenant check.
    fn after_project_migrations<'a>(&'a self, client: &'a Client, _: &'a Settings) -> ModuleFuture<'a> {
        Box::pin(async move {
            if crate::refresh_references(client).await? > 0 {
                client.batch_execute("notify pgrst, 'reload schema'").await.map_err(DbError::from)?;
            }
            Ok(())
        })
    }

    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async move {
            let limits = Reloaded { limits: Arc::default(), database: assembly.origin.database.clone() };
            limits.reload().await;
            assembly.provide(Arc::clone(&limits.limits));
            let hub = assembly.hub();
            assembly.task(BackgroundTask::new("tenancy.limits", move |heartbeat| {
                let (limits, heard) = (limits.clone(), hub.subscribe());
                async move { heartbeat.idle(limits.follow(heard)).await }
            }));
            Ok::<(), CannotRun>(())
        })
    }
}

/// The limits and what they are read from.
#[derive(Clone)]
struct Reloaded {
    limits: Arc<TenantLimits>,
    database: Database,
}

impl Reloaded {
    /// Reads all limits; on failure those in use stay. True if it succeeded.
    async fn reload(&self) -> bool {
        let loaded = self.database.liveness.guard(self.load()).await;
        if let Err(error) = &loaded {
            tracing::warn!(%error, "the tenants' limits could not be loaded; those in use stay");
        }
        loaded.is_ok()
    }

    async fn load(&self) -> Result<(), DbError> {
        let client = self.database.control.connection().await?;
        self.limits.reload(&client).await
    }

    /// Reloads when limits change and whenever listening begins anew, until the hub is gone.
    async fn follow(self, mut heard: Receiver<Heard>) {
        let mut current = false;
        loop {
            match tokio::time::timeout(if current { NEVER } else { RETRY }, heard.recv()).await {
                Ok(Ok(Heard::Notice { channel, .. })) if channel != CHANNEL => continue,
                Ok(Err(RecvError::Closed)) => return,
                _ => {}
            }
            while !matches!(heard.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {}
            current = self.reload().await;
        }
    }
}
