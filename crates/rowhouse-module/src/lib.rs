#![doc = include_str!("../README.md")]

mod assembly;
mod command;
mod health;
pub mod job;
mod json_text;
mod list;
mod listener;
mod outcome;
mod project;
mod registry;
mod schedule;

use std::pin::Pin;

use rowhouse_db::migrate::Statement;
use rowhouse_kernel::Rng;
use rowhouse_kernel::settings::{GroupSpec, Settings};
use tokio_postgres::Client;

pub use assembly::{Assembled, Assembly, Fact, Origin, Preparation, Roles, SearchPath, Waker};
pub use command::{CommandContext, CommandFuture, CommandGroup};
pub use health::{HealthCheck, Weight};
pub use json_text::JsonText;
pub use list::Modules;
pub use listener::{BoundListeners, ListenerService, ListenerSpec, Mode};
pub use outcome::{CannotRun, Outcome, report};
pub use project::{Project, ProjectLock, Secrets, State};
pub use registry::{Kind, Registry};
pub use schedule::BuiltInSchedule;

/// Work of a module that ends well or says why nothing can run.
pub type ModuleFuture<'a> = Pin<Box<dyn Future<Output = Result<(), CannotRun>> + Send + 'a>>;

/// One metric that a module writes: what `/metrics` shows, and what alerts and dashboards may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// As Prometheus knows it.
    pub name: &'static str,
    /// Meaning and unit, in a sentence.
    pub help: &'static str,
}

/// A capability: what it declares without running, and how it starts.
pub trait Module: Send + Sync + 'static {
    /// Lower case, as the crate's name without `rowhouse-`.
    fn name(&self) -> &'static str;

    /// The schema that it owns. Files of all modules are applied in one order, by their times.
    fn migrations(&self) -> &'static [Statement] {
        &[]
    }

    /// Its sections of `rowhouse.toml`.
    fn settings(&self) -> Vec<GroupSpec> {
        Vec::new()
    }

    /// Channels on which it wants to hear NOTIFY.
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

    /// Ports beside the API's that it wants to serve.
    ///
    /// # Errors
    /// If there is no such port.
    fn listeners(&self, _settings: &Settings, _mode: Mode) -> Result<Vec<ListenerSpec>, CannotRun> {
        Ok(Vec::new())
    }

    /// What can be refused before a database is reached: mistakes in files that belong to the configuration.
    ///
    /// # Errors
    /// Every mistake.
    fn check_project(&self, _project: &Project, _settings: &Settings) -> Result<(), CannotRun> {
        Ok(())
    }

    /// Makes up the secrets that a development project needs and nobody has set.
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

    /// What has to be done with the database once the platform's migrations are applied, and before the project's.
    fn after_platform_migrations<'a>(
        &'a self,
        _client: &'a Client,
        _settings: &'a Settings,
    ) -> ModuleFuture<'a> {
        Box::pin(async { Ok(()) })
    }

    /// What has to be done with the database once the project's migrations are applied.
    fn after_project_migrations<'a>(
        &'a self,
        _client: &'a Client,
        _settings: &'a Settings,
    ) -> ModuleFuture<'a> {
        Box::pin(async { Ok(()) })
    }

    /// Adds what it brings to a process that is being put together.
    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a>;

    /// Adds what depends on all modules having started: what gathers the others' jobs, checks or routes.
    fn complete<'a>(&'a self, _assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async { Ok(()) })
    }
}
