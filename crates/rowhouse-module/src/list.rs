//! The modules of a program, in the order in which they start, and the union of what they declare.

use rowhouse_db::DbSettings;
use rowhouse_db::migrate::Migration;
use rowhouse_http::ServerSettings;
use rowhouse_kernel::Rng;
use rowhouse_kernel::settings::{GroupSpec, ProjectSettings, Settings};
use tokio_postgres::Client;

use crate::{
    Assembly, CannotRun, CommandGroup, FindCaller, JobKind, ListenerSpec, Metric, Mode, Module, Project,
};

/// Modules in the order in which they start.
pub struct Modules {
    list: Vec<Box<dyn Module>>,
    /// Settings of the program that belong to no module.
    settings: Vec<GroupSpec>,
}

impl Modules {
    /// A list, in which what a module requires is provided by one before it.
    #[must_use]
    pub fn new(modules: Vec<Box<dyn Module>>) -> Self {
        Self { list: modules, settings: Vec::new() }
    }

    /// The same list with one more at its end.
    #[must_use]
    pub fn with(mut self, module: impl Module) -> Self {
        self.list.push(Box::new(module));
        self
    }

    /// The same list in a program with settings of its own.
    #[must_use]
    pub fn with_settings(mut self, group: GroupSpec) -> Self {
        self.settings.push(group);
        self
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.list.iter().map(|module| module.name())
    }

    /// The settings of the program itself and of every module, in the order of the reference pages.
    #[must_use]
    pub fn settings(&self) -> Vec<GroupSpec> {
        let own = [
            GroupSpec::of::<ProjectSettings>(),
            GroupSpec::of::<ServerSettings>(),
            GroupSpec::of::<DbSettings>(),
        ];
        let theirs = self.list.iter().flat_map(|module| module.settings());
        own.into_iter().chain(theirs).chain(self.settings.iter().copied()).collect()
    }

    /// Migrations of every module, ordered by timestamp; the audit log's belong to the program.
    #[must_use]
    pub fn migrations(&self) -> Vec<Migration> {
        let theirs = self.list.iter().map(|module| module.migrations());
        let common = [rowhouse_db::MIGRATIONS, rowhouse_audit::MIGRATIONS];
        Migration::embedded(&common.into_iter().chain(theirs).collect::<Vec<_>>())
    }

    /// The channels that one of them listens on.
    #[must_use]
    pub fn channels(&self) -> Vec<&'static str> {
        self.list.iter().flat_map(|module| module.channels()).copied().collect()
    }

    /// The metrics that they write.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        self.list.iter().flat_map(|module| module.metrics()).copied().collect()
    }

    /// Their commands.
    #[must_use]
    pub fn commands(&self) -> Vec<CommandGroup> {
        self.list.iter().flat_map(|module| module.commands()).collect()
    }

    /// How the caller that a user's requests would have is found.
    #[must_use]
    pub fn find_caller(&self) -> Option<FindCaller> {
        self.list.iter().find_map(|module| module.find_caller())
    }

    /// Their listeners beside the API's.
    ///
    /// # Errors
    /// If one of them cannot be specified.
    pub fn listeners(&self, settings: &Settings, mode: Mode) -> Result<Vec<ListenerSpec>, CannotRun> {
        let listeners = self.list.iter().map(|module| module.listeners(settings, mode));
        Ok(listeners.collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// Refuses mistakes in the project's files; all of them at once.
    ///
    /// # Errors
    /// Every mistake.
    pub fn check_project(&self, project: &Project, settings: &Settings) -> Result<(), CannotRun> {
        let mistakes = self.list.iter().filter_map(|module| module.check_project(project, settings).err());
        let mistakes: Vec<String> = mistakes.flat_map(|mistakes| mistakes.0).collect();
        if mistakes.is_empty() { Ok(()) } else { Err(CannotRun(mistakes)) }
    }

    /// Generates the secrets that a development project needs.
    ///
    /// # Errors
    /// If they cannot be read or written.
    pub fn generate_secrets(
        &self,
        project: &Project,
        settings: &mut Settings,
        rng: &dyn Rng,
    ) -> Result<(), CannotRun> {
        self.list.iter().try_for_each(|module| module.generate_secrets(project, settings, rng))
    }

    /// The kinds of jobs that a worker of this program will run.
    #[must_use]
    pub fn kinds(&self, settings: &Settings) -> Vec<JobKind> {
        self.list.iter().flat_map(|module| module.kinds(settings)).collect()
    }

    /// See [`Module::after_platform_migrations`].
    ///
    /// # Errors
    /// The first module's that fails.
    pub async fn after_platform_migrations(
        &self,
        client: &Client,
        settings: &Settings,
    ) -> Result<(), CannotRun> {
        let kinds = self.kinds(settings);
        for module in &self.list {
            module.after_platform_migrations(client, settings, &kinds).await?;
        }
        Ok(())
    }

    /// See [`Module::after_project_migrations`].
    ///
    /// # Errors
    /// The first module's that fails.
    pub async fn after_project_migrations(
        &self,
        client: &Client,
        settings: &Settings,
    ) -> Result<(), CannotRun> {
        let work = async {
            for module in &self.list {
                module.after_project_migrations(client, settings).await?;
            }
            Ok(())
        };
        rowhouse_db::migrate::adjust(client, work).await
    }

    /// Starts every module, then lets each complete what depends on the others.
    ///
    /// # Errors
    /// The first module's that fails.
    pub async fn start(&self, assembly: &mut Assembly) -> Result<(), CannotRun> {
        for module in &self.list {
            module.start(assembly).await?;
        }
        for module in &self.list {
            module.complete(assembly).await?;
        }
        Ok(())
    }
}
