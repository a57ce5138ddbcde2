//! Shared rate limits as a capability of the program. First in the list of modules, since the others make their limiters
//! from what it sets.

use std::sync::Arc;

use rowhouse_db::{Control, DbError};
use rowhouse_http::BackgroundTask;
use rowhouse_http::limit::Rates;
use rowhouse_kernel::Operation;
use rowhouse_kernel::settings::{GroupSpec, Settings};
use rowhouse_module::{Assembly, CannotRun, HealthCheck, Metric, Module, ModuleFuture, Project, Weight};

use crate::settings::RedisSettings;
use crate::{RedisRates, link};

const METRICS: &[Metric] = &[
    Metric {
        name: "rowhouse_redis_up",
        help: "1 while rate limits are counted in Redis, 0 while this process counts for itself.",
    },
    Metric {
        name: "rowhouse_redis_fallbacks_total",
        help: "Requests that this process has counted for itself because Redis did not work.",
    },
];

/// What distinguishes a database from all others: a random id, and its number on its server, by which copies differ.
const DATABASE: &str = "select concat(i.id, '-', d.oid) from rowhouse.installation i, pg_database d
                        where d.datname = current_database()";

/// Rate limits in Redis, if `redis.url` is set.
#[derive(Debug, Clone, Copy)]
pub struct RedisModule;

impl Module for RedisModule {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn settings(&self) -> Vec<GroupSpec> {
        vec![GroupSpec::of::<RedisSettings>()]
    }

    fn metrics(&self) -> &'static [Metric] {
        METRICS
    }

    fn check_project(&self, _: &Project, settings: &Settings) -> Result<(), CannotRun> {
        let settings = settings.get::<RedisSettings>();
        let checked = settings.ca_file.as_deref().filter(|_| settings.url.is_some()).map(link::authority);
        checked.transpose().map(drop).map_err(|why| CannotRun::because(format!("redis.ca_file: {why}")))
    }

    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async move {
            let settings = assembly.origin.settings.get::<RedisSettings>();
            if settings.url.is_none() {
                return Ok(());
            }
            let operation = Operation::background("redis.database", &assembly.origin.clock);
            let database = database(assembly.origin.database.control.clone(), operation).await?;
            let rates = RedisRates::new(&settings, &database);
            let rates = rates.map_err(|why| CannotRun::because(format!("redis.url: {why}")))?;
            rates.into_iter().for_each(|rates| add(assembly, rates));
            Ok(())
        })
    }
}

fn add(assembly: &mut Assembly, rates: RedisRates) {
    let clock = Arc::clone(&assembly.origin.clock);
    assembly.rates = Rates::shared(Arc::new(rates.clone()), clock);
    let checked = rates.clone();
    assembly.check(HealthCheck::new("redis", Weight::Degraded, move || checked.check()));
    assembly.task(BackgroundTask::new("redis.connection", move |heartbeat| {
        rates.clone().keep_connected(heartbeat)
    }));
}

async fn database(control: Control, operation: Operation) -> Result<String, CannotRun> {
    let ask = async |client: &tokio_postgres::Client| {
        Ok::<String, DbError>(client.query_one(DATABASE, &[]).await?.try_get(0)?)
    };
    Ok(control.statement(&operation, ask).await?)
}
