#![doc = include_str!("../README.md")]

mod app;
mod assembly;
mod command;
mod count;
mod health;
mod interrupt;
pub mod job;
mod json_text;
mod list;
mod listener;
mod outcome;
mod project;
mod registry;
mod schedule;
mod shell_word;
mod url;

use std::pin::Pin;

use rowhouse_db::migrate::Statement;
use rowhouse_kernel::Rng;
use rowhouse_kernel::settings::{GroupSpec, Settings};
use tokio_postgres::Client;

pub use app::App;
pub use assembly::{
    Assembled, Assembly, Fact, KeySecret, Origin, Preparation, Roles, SearchPath, SiteUrl, Waker,
};
pub use command::{
    CallerFuture, CommandContext, CommandFuture, CommandGroup, CopyFuture, FindCaller, MakeCopy,
};
pub use count::{counted, grouped};
pub use health::{HealthCheck, Weight};
pub use interrupt::{Signals, interruptible, interruption};
pub use json_text::JsonText;
pub use list::Modules;
pub use listener::{BoundListeners, ListenerService, ListenerSpec, Mode};
pub use outcome::{CannotRun, CommandOutcome, report};
pub use project::{Instance, InstanceRecord, Project, ProjectLock, Secrets, State};
pub use registry::{JobKind, Registry};
pub use schedule::BuiltInSchedule;
pub use shell_word::shell_word;
pub use url::database_urls;

/// Asynchronous work of a module, or the reason why the process cannot run.
pub type ModuleFuture<'a> = Pin<Box<dyn Future<Output = Result<(), CannotRun>> + Send + 'a>>;

/// One metric that a module writes: what `/metrics` shows, and what alerts and dashboards may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name in Prometheus.
    pub name: &'static str,
    /// Meaning and unit, in a sentence.
    pub help: &'static str,
}

/// A capability: what it declares without running, and how it starts.
pub trait Module: Send + Sync + 'static {
    /// Lower case, as the crate's name without `rowhouse-`.
    fn name(&self) -> &'static str;

    /// Migrations of the schema that it owns. Files of all modules are applied in one order, by their timestamps.
    fn migrations(&self) -> &'static [Statement] {
        &[]
    }

    /// Its sections of `rowhouse.toml`.
    fn settings(&self) -> Vec<GroupSpec> {
        Vec::new()
    }

    /// LISTEN channels that it subscribes to.
    fn channels(&self) -> &'static [&'static str] {
        &[]
    }

    /// The metrics that it writes.
    fn metrics(&self) -> &'static [Metric] {
        &[]
    }

    /// Its commands.
    fn commands(&self) -> Vec<CommandGroup> {
        Vec::new()
    }

    /// How commands of other modules find the caller of a user's requests; one module has users.
    fn find_caller(&self) -> Option<FindCaller> {
        None
    }

    /// Listeners beside the API's.
    ///
    /// # Errors
    /// If there is no such port.
    fn listeners(&self, _settings: &Settings, _mode: Mode) -> Result<Vec<ListenerSpec>, CannotRun> {
        Ok(Vec::new())
    }

    /// Checks that need no database: mistakes in files that belong to the configuration.
    ///
    /// # Errors
    /// Every mistake.
    fn check_project(&self, _project: &Project, _settings: &Settings) -> Result<(), CannotRun> {
        Ok(())
    }

    /// Generates the secrets that a development project needs and nobody has set.
    ///
    /// # Errors
    /// If they cannot be read or written.
    fn generate_secrets(
        &self,
        _project: &Project,
        _settings: &mut Settings,
        _rng: &dyn Rng,
    ) -> Result<(), CannotRun> {
        Ok(())
    }

    /// The kinds of jobs that its workers will run, so that the project's migrations can enqueue before one has started.
    fn kinds(&self, _settings: &Settings) -> Vec<JobKind> {
        Vec::new()
    }

    /// Database work after the platform's migrations and before the project's. `kinds` are those of all modules.
    fn after_platform_migrations<'a>(
        &'a self,
        _client: &'a Client,
        _settings: &'a Settings,
        _kinds: &'a [JobKind],
    ) -> ModuleFuture<'a> {
        Box::pin(async { Ok(()) })
    }

    /// Database work after the project's migrations.
    fn after_project_migrations<'a>(
        &'a self,
        _client: &'a Client,
        _settings: &'a Settings,
    ) -> ModuleFuture<'a> {
        Box::pin(async { Ok(()) })
    }

    /// Adds its parts to the process under composition.
    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a>;

    /// Adds what depends on all modules having started: what collects the others' jobs, checks or routes.
    fn complete<'a>(&'a self, _assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async { Ok(()) })
    }
}
