//! The module of tenancy: its schema, and the tenants' limits kept in step with the database.

use std::sync::Arc;
use std::time::Duration;

use rowhouse_db::migrate::Statement;
use rowhouse_db::{Database, DbError, Following, follow};
use rowhouse_http::BackgroundTask;
use rowhouse_kernel::Operation;
use rowhouse_kernel::settings::{GroupSpec, Settings};
use rowhouse_module::{Assembly, CannotRun, CommandGroup, Module, ModuleFuture};
use tokio_postgres::Client;

use crate::limit::{CHANNEL, TenantLimits};
use crate::route::admin::{self, TenancyAdmin};
use crate::route::audit;
use crate::settings::TenancySettings;

const FOLLOWING: Following = Following {
    channel: CHANNEL,
    ignored: &[],
    debounce: Duration::ZERO,
    retry: Duration::from_secs(2),
    limit: Duration::from_secs(5),
};

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

    fn settings(&self) -> Vec<GroupSpec> {
        vec![GroupSpec::of::<TenancySettings>()]
    }

    fn commands(&self) -> Vec<CommandGroup> {
        vec![crate::command::ORGS, crate::command::TENANTS, crate::command::audit::AUDIT]
    }

    fn channels(&self) -> &'static [&'static str] {
        &[CHANNEL]
    }

    /// Adds tenant checks for foreign keys that the migrations have created.
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
            if let Err(error) = limits.reload().await {
                tracing::warn!(%error, "the tenants' limits could not be loaded yet");
            }
            assembly.provide(Arc::clone(&limits.limits));
            add_routes(assembly);
            audit::serve(assembly);
            let hub = assembly.hub();
            assembly.task(BackgroundTask::new("tenancy.limits", move |heartbeat| {
                let (limits, hub) = (limits.clone(), hub.clone());
                async move { follow(&hub, FOLLOWING, || limits.reload(), || heartbeat.beat()).await }
            }));
            Ok::<(), CannotRun>(())
        })
    }
}

fn add_routes(assembly: &mut Assembly) {
    let settings = assembly.origin.settings.get::<TenancySettings>();
    let admin = TenancyAdmin { control: assembly.origin.database.control.clone(), settings };
    assembly.admin("/me", admin::me, admin.clone());
    assembly.admin("/organizations", admin::organizations, admin.clone());
    assembly.admin("/permissions", admin::permissions, admin.clone());
    assembly.admin("/tenants", admin::tenants, admin);
}

/// The limits and the pool from which they are read.
#[derive(Clone)]
struct Reloaded {
    limits: Arc<TenantLimits>,
    database: Database,
}

impl Reloaded {
    /// Reads all limits; after a failure those in use stay.
    async fn reload(&self) -> Result<(), DbError> {
        let limits = Arc::clone(&self.limits);
        let load = async move |client: &Client| limits.reload(client).await;
        self.database.control.statement(&Operation::system("tenancy.load_limits"), load).await
    }
}
