//! The module of the data API: settings, surfaces and the schema that it serves.

mod reload;

use std::sync::Arc;
use std::time::Duration;

use rowhouse_db::migrate::Process;
use rowhouse_db::{DbSettings, apply_default_grants};
use rowhouse_http::{BackgroundTask, Dialect, ServerSettings, Surface};
use rowhouse_kernel::new_id;
use rowhouse_kernel::settings::{Environment, GroupSpec, ProjectSettings, Settings};
use rowhouse_module::{
    Assembly, CommandGroup, HealthCheck, JobKind, Metric, Module, ModuleFuture, SearchPath, Weight,
};
use rowhouse_tenancy::limit::TenantLimits;
use tokio_postgres::Client;

use crate::settings::RestSettings;
use crate::{LimitSources, Rest, SchemaCache};
use reload::Schema;

const METRICS: [Metric; 3] = [
    Metric {
        name: "rls_violations_total",
        help: "Requests refused because of who sent them, by kind (policy, grant, raised, session, tenant or token), table and verb.",
    },
    Metric {
        name: "pgrst_schema_cache_query_time_seconds",
        help: "How long the last load of the schema took, in seconds.",
    },
    Metric {
        name: "pgrst_schema_cache_loads_total",
        help: "Loads of the schema, by status: SUCCESS or FAIL.",
    },
];

/// Where the API is served.
const PREFIX: &str = "/rest/v1";
/// Timeout for removing the process's record from the database at shutdown.
const FINISH_LIMIT: Duration = Duration::from_secs(1);

/// PostgREST's dialect over the project's tables. Requires [`TenantLimits`], provides [`SearchPath`].
#[derive(Debug, Clone, Copy)]
pub struct RestModule;

impl Module for RestModule {
    fn name(&self) -> &'static str {
        "rest"
    }

    fn settings(&self) -> Vec<GroupSpec> {
        vec![GroupSpec::of::<RestSettings>()]
    }

    fn commands(&self) -> Vec<CommandGroup> {
        vec![crate::command::GROUP]
    }

    fn channels(&self) -> &'static [&'static str] {
        &["pgrst"]
    }

    fn metrics(&self) -> &'static [Metric] {
        &METRICS
    }

    fn after_platform_migrations<'a>(
        &'a self,
        client: &'a Client,
        settings: &'a Settings,
        _: &'a [JobKind],
    ) -> ModuleFuture<'a> {
        let grants = settings.get::<RestSettings>().default_grants;
        Box::pin(async move { Ok(apply_default_grants(client, grants).await?) })
    }

    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async move {
            let settings = assembly.origin.settings.get::<RestSettings>();
            assembly.provide(Arc::new(search_path(&settings)));
            if !assembly.origin.roles.api {
                assembly.check(HealthCheck::off("rest"));
                return Ok(());
            }
            let cache = SchemaCache::new();
            follow_schema(assembly, &settings, &cache).await;
            add_surfaces(assembly, &settings, &cache)?;
            assembly.check(HealthCheck::new("rest", Weight::Unhealthy, move || match cache.current() {
                Some(_) => Ok(()),
                None => Err("no schema has been loaded yet".to_owned()),
            }));
            Ok(())
        })
    }
}

async fn follow_schema(assembly: &mut Assembly, settings: &RestSettings, cache: &Arc<SchemaCache>) {
    let database = assembly.origin.database.clone();
    let process = Process::this(new_id(&*assembly.origin.clock, &*assembly.origin.rng));
    let schema = Schema::new(Arc::clone(cache), settings.schemas.clone(), database, process);
    if let Err(error) = schema.reload().await {
        tracing::warn!(%error, "the schema could not be loaded yet");
    }
    let (hub, recorded) = (assembly.hub(), schema.clone());
    assembly.task(BackgroundTask::new("rest.schema", move |heartbeat| {
        schema.clone().follow(hub.clone(), heartbeat)
    }));
    let record =
        BackgroundTask::new("rest.process", move |heartbeat| recorded.clone().record_process(heartbeat));
    assembly.task(record.finish_within(FINISH_LIMIT));
}

fn add_surfaces(
    assembly: &mut Assembly,
    settings: &RestSettings,
    cache: &Arc<SchemaCache>,
) -> Result<(), rowhouse_module::CannotRun> {
    let origin = &assembly.origin;
    let is_development = origin.settings.get::<ProjectSettings>().environment == Environment::Development;
    let limits = LimitSources {
        default_timeout: origin.settings.get::<DbSettings>().statement_timeout,
        tenants: assembly.require::<TenantLimits>()?,
        plans_for_all: is_development,
    };
    let rest = Rest::new(origin.database.data.clone(), Arc::clone(cache), limits, settings.clone());
    let alias = origin.settings.get::<ServerSettings>().rest_alias.clone();
    let surface = |prefix: &str| Surface {
        answers_closed: true,
        metered: true,
        ..Surface::new(prefix, Dialect::REST, crate::router(rest.clone()))
    };
    assembly.surface(surface(PREFIX));
    if let Some(alias) = alias {
        assembly.surface(Surface { alias_of: Some(PREFIX), ..surface(alias.trim_end_matches('/')) });
    }
    Ok(())
}

/// As `set search_path` takes it.
fn search_path(settings: &RestSettings) -> SearchPath {
    let quoted = settings.schemas.iter().chain(&settings.extra_search_path);
    let quoted: Vec<String> = quoted.map(|schema| format!("\"{}\"", schema.replace('"', "\"\""))).collect();
    SearchPath(quoted.join(", "))
}
