//! Commands of this crate without the binary: a project's folder, and what a command said. Leaves what is asserted to the tests.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use rowhouse_backup::{BackupModule, BackupSettings, Wayback, before_migration};
use rowhouse_db::DbSettings;
use rowhouse_kernel::settings::{GroupSpec, ProjectSettings, Settings};
use rowhouse_kernel::{Secret, SharedClock, SharedRng, SystemClock, SystemRng};
use rowhouse_module::{CommandContext, CommandOutcome, Module, Project};
use std::sync::Arc;
use tempfile::TempDir;

/// A project on a database.
pub(crate) struct Folder(TempDir);

impl Folder {
    /// With what stands in `[backup]`.
    pub(crate) fn on(database: &str, backup: &str) -> Self {
        // Short, and outside of what only root may enter.
        let folder = tempfile::Builder::new().prefix("rhb-").tempdir_in("/tmp").unwrap();
        let db = format!("[db]\nurl = \"{database}\"\n[backup]\nmin_free_bytes = 0\n{backup}\n");
        std::fs::write(folder.path().join("rowhouse.toml"), db).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs a command: its outcome, or why it could not run.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<CommandOutcome, String> {
        run(self.path(), arguments).await
    }

    /// A command that has to say yes.
    pub(crate) async fn done(&self, arguments: &[&str]) -> CommandOutcome {
        let outcome = self.run(arguments).await.unwrap();
        assert!(outcome.yes, "{arguments:?}: {}", outcome.text);
        outcome
    }

    /// What `migrate up` does first.
    pub(crate) async fn before_migration(&self, url: &str) -> Result<Wayback, String> {
        let project = Project::open(self.path()).unwrap();
        let (settings, mistakes) = Settings::read(&groups(), &mut project.sources().unwrap());
        assert_eq!(mistakes, Vec::<String>::new());
        let (clock, rng): (SharedClock, SharedRng) = (Arc::new(SystemClock), Arc::new(SystemRng));
        let url = Secret::new(url.to_owned());
        let made = before_migration(&settings, &project, &url, &clock, &rng).await;
        made.map_err(|error| error.to_string())
    }

    /// Why a command could not run.
    pub(crate) async fn refused(&self, arguments: &[&str]) -> String {
        self.run(arguments).await.map(|outcome| outcome.text).unwrap_err()
    }
}

fn groups() -> Vec<GroupSpec> {
    vec![GroupSpec::of::<ProjectSettings>(), GroupSpec::of::<DbSettings>(), GroupSpec::of::<BackupSettings>()]
}

/// Runs a command in a project's folder: its outcome, or why it could not run.
pub(crate) async fn run(project: &Path, arguments: &[&str]) -> Result<CommandOutcome, String> {
    let group = BackupModule.commands()[0];
    let words = std::iter::once("backup").chain(arguments.iter().copied());
    let matches = (group.command)().try_get_matches_from(words).map_err(|error| error.to_string())?;
    let context = CommandContext {
        project: Project::open(project).unwrap(),
        groups: groups(),
        clock: Arc::new(SystemClock),
        rng: Arc::new(SystemRng),
        find_caller: None,
        make_copy: None,
        interrupted: AtomicBool::new(false),
    };
    (group.run)(&matches, &context).await.map_err(|error| error.to_string())
}
