//! The module of jobs: schema, settings, and the worker that runs the jobs of all modules.

mod audit;
mod declared;
mod event;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use rowhouse_db::migrate::Statement;
use rowhouse_http::{BackgroundTask, ServerSettings};
use rowhouse_kernel::settings::{GroupSpec, Settings};
use rowhouse_module::{Assembly, CommandGroup, HealthCheck, JobKind, Module, ModuleFuture, Waker, Weight};
use tokio_postgres::Client;

use crate::outbound::Outbound;
use crate::route::admin::{JobsAdmin, routes};
use crate::settings::JobsSettings;
use crate::sql_handler::SqlHandler;
use crate::{builtin, command, config, declared_kind, gauge};
pub use audit::AuditModule;
use declared::Declared;
pub use event::EventModule;
use worker::{Starter, Working};

/// The channel on which the database announces that a running job is to be cancelled.
const CHANNEL: &str = "rowhouse_jobs";

/// Durable jobs. Provides [`Waker`] and [`Outbound`]; the jobs of all modules run in its worker.
#[derive(Debug, Default)]
pub struct JobsModule;

impl Module for JobsModule {
    fn name(&self) -> &'static str {
        "jobs"
    }

    fn migrations(&self) -> &'static [Statement] {
        crate::MIGRATIONS
    }

    fn settings(&self) -> Vec<GroupSpec> {
        vec![GroupSpec::of::<JobsSettings>()]
    }

    fn channels(&self) -> &'static [&'static str] {
        &[CHANNEL]
    }

    fn commands(&self) -> Vec<CommandGroup> {
        vec![command::JOBS, command::schedule::SCHEDULE]
    }

    fn kinds(&self, settings: &Settings) -> Vec<JobKind> {
        let mut kinds = builtin::kinds();
        kinds.push(SqlHandler::kind());
        kinds.extend(declared_kind::kinds(&settings.get::<JobsSettings>()));
        kinds
    }

    fn after_platform_migrations<'a>(
        &'a self,
        client: &'a Client,
        settings: &'a Settings,
        kinds: &'a [JobKind],
    ) -> ModuleFuture<'a> {
        Box::pin(async move { Ok(config::announce(client, &settings.get::<JobsSettings>(), kinds).await?) })
    }

    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async move {
            let settings = assembly.origin.settings.get::<JobsSettings>();
            let control = assembly.origin.database.control.clone();
            builtin::add_kinds(&mut assembly.assembled.kinds, &control, &settings);
            builtin::SCHEDULES.iter().for_each(|schedule| assembly.schedule(*schedule));
            let outbound =
                Outbound::new(settings.allow_private_urls).map_err(rowhouse_module::CannotRun::because)?;
            assembly.provide(Arc::new(outbound));
            let admin = JobsAdmin { control: control.clone(), clock: Arc::clone(&assembly.origin.clock) };
            assembly.admin("/jobs", routes, admin);
            let working = Arc::new(Working::default());
            let waking = Arc::clone(&working);
            assembly.provide(Arc::new(Waker(Arc::new(move |kind| waking.wake(kind)))));
            assembly.provide(working);
            assembly.task(BackgroundTask::new("jobs.gauges", move |heartbeat| {
                gauge::keep(control.clone(), heartbeat)
            }));
            Ok(())
        })
    }

    fn complete<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async move {
            let settings = assembly.origin.settings.get::<JobsSettings>();
            if !(assembly.origin.roles.worker && settings.workers) {
                assembly.check(HealthCheck::off("worker"));
                return Ok(());
            }
            let working = assembly.require::<Working>()?;
            let declared = Declared::from_assembly(assembly)?;
            let starter = Starter::new(assembly, declared)?;
            starter.refuse_mistakes().await?;
            starter.warn_of_functions().await;
            let checked = Arc::clone(&working);
            let clock = starter.clone();
            let check = move || checked.check().and_then(|()| clock.check_clock());
            assembly.check(HealthCheck::new("worker", Weight::Degraded, check));
            let drain_timeout = assembly.origin.settings.get::<ServerSettings>().drain_timeout;
            add_tasks(assembly, &starter, &working, drain_timeout);
            Ok(())
        })
    }
}

fn add_tasks(assembly: &mut Assembly, starter: &Starter, working: &Arc<Working>, drain_timeout: Duration) {
    let (living, running) = (starter.clone(), Arc::clone(working));
    let worker = BackgroundTask::new("jobs.worker", move |heartbeat| {
        worker::live(living.clone(), Arc::clone(&running), heartbeat, drain_timeout)
    });
    assembly.task(worker.finish_within(drain_timeout));
    let (firing, running) = (starter.clone(), Arc::clone(working));
    assembly.task(BackgroundTask::new("jobs.schedules", move |heartbeat| {
        firing.clone().fire_schedules(Arc::clone(&running), heartbeat)
    }));
    let (hub, running) = (assembly.hub(), Arc::clone(working));
    assembly.task(BackgroundTask::new("jobs.cancellations", move |heartbeat| {
        worker::cancel_jobs(hub.clone(), Arc::clone(&running), heartbeat)
    }));
}
