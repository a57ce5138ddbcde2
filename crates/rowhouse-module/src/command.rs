//! Commands that a module contributes. The binary's own (`up`, `serve`, `migrate`, …) are left to the binary.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{ArgMatches, Command};
use rowhouse_db::scratch::Scratch;
use rowhouse_db::{Control, DatabaseUrls, DbError, DbSettings};
use rowhouse_kernel::settings::{GroupSpec, Settings};
use rowhouse_kernel::{Caller, Origin, Secret, SharedClock, SharedRng};
use tokio_postgres::Client;

use crate::{CannotRun, CommandOutcome, Project, Secrets, State};

/// Longest name of an operator in the audit log, in characters.
const MAX_OPERATOR: usize = 100;

/// A command under way.
pub type CommandFuture<'a> = Pin<Box<dyn Future<Output = Result<CommandOutcome, CannotRun>> + 'a>>;

/// The caller that a user's requests would have, being looked up.
pub type CallerFuture<'a> = Pin<Box<dyn Future<Output = Result<Caller, CannotRun>> + 'a>>;

/// Finds the caller of requests that a user (address or id) would send, in a tenant (slug or id) or the oldest open one.
pub type FindCaller = for<'a> fn(&'a CommandContext, &'a str, Option<&'a str>) -> CallerFuture<'a>;

/// A database being made.
pub type CopyFuture<'a> = Pin<Box<dyn Future<Output = Result<Scratch, CannotRun>> + 'a>>;

/// Makes an empty database beside the project's and applies all migrations to it, as a first start does. Whoever asked removes it.
pub type MakeCopy = for<'a> fn(&'a CommandContext) -> CopyFuture<'a>;

/// A command with its subcommands.
#[derive(Clone, Copy)]
pub struct CommandGroup {
    /// The clap command; its name is the command's.
    pub command: fn() -> Command,
    /// Runs it.
    pub run: for<'a> fn(&'a ArgMatches, &'a CommandContext) -> CommandFuture<'a>,
}

/// What a module's command receives.
pub struct CommandContext {
    /// The project that `--dir` names.
    pub project: Project,
    /// Every module's settings.
    pub groups: Vec<GroupSpec>,
    /// The time.
    pub clock: SharedClock,
    /// For ids and secrets.
    pub rng: SharedRng,
    /// Finds the caller of a user's requests; none without a module that has users.
    pub find_caller: Option<FindCaller>,
    /// Makes a database with the project's schema, for what has to commit; none in a program without the project's migrations.
    pub make_copy: Option<MakeCopy>,
    /// Whether an interrupt has ended the command.
    pub interrupted: AtomicBool,
}

impl CommandContext {
    /// Records that an interrupt (Ctrl-C) has ended the command: its exit code is 130, whatever it reports.
    pub fn set_interrupted(&self) {
        self.interrupted.store(true, Ordering::Relaxed);
    }

    /// The project's settings.
    ///
    /// # Errors
    /// Every mistake at once.
    pub fn settings(&self) -> Result<Settings, CannotRun> {
        self.project.settings(&self.groups).map(|(settings, _)| settings)
    }

    /// The origin of the command's operations: the operator, named by the operating-system account.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let uid = nix::unistd::getuid();
        let account = nix::unistd::User::from_uid(uid).ok().flatten();
        let name = account.map_or_else(|| uid.to_string(), |account| account.name);
        let name: String = name.chars().take(MAX_OPERATOR).collect();
        Origin::operator(&name, &self.clock)
    }

    /// A connection to the project's database as the login `rowhouse`.
    ///
    /// # Errors
    /// If there is no database, or it does not answer.
    pub async fn connect(&self) -> Result<Client, CannotRun> {
        rowhouse_db::connect(&self.control_url()?).await.map_err(CannotRun::from)
    }

    /// A pool on the project's database as the login `rowhouse`.
    ///
    /// # Errors
    /// If there is no database.
    pub fn control(&self) -> Result<Control, CannotRun> {
        let settings = self.settings()?;
        Control::open(&self.control_url()?, &settings.get::<DbSettings>()).map_err(CannotRun::from)
    }

    /// The URLs of the project's database for all three logins: those of the running `up`, else of the settings.
    ///
    /// # Errors
    /// If there is no database, or a login's password is not known.
    pub fn database_urls(&self) -> Result<DatabaseUrls, CannotRun> {
        let mut settings = (*self.settings()?.get::<DbSettings>()).clone();
        settings.url = Some(self.control_url()?);
        settings.direct_url = None;
        let is_generated = self.project.private("keys/secrets.toml").exists();
        let secrets = if is_generated { Some(Secrets::ensure(&self.project, &*self.rng)?) } else { None };
        crate::database_urls(&settings, secrets.as_ref())
    }

    /// The URL of the project's database: that of the running `up`, else `DATABASE_URL`.
    ///
    /// # Errors
    /// If there is neither.
    pub fn control_url(&self) -> Result<Secret, CannotRun> {
        let settings = self.settings()?;
        if let Some(url) = settings.get::<DbSettings>().server_url().cloned() {
            return Ok(url);
        }
        let project = &self.project;
        let state = State::read(project).filter(|_| State::is_running(project)).ok_or_else(|| {
            CannotRun::because(format!(
                "no database: start it with `rowhouse up{}`, or set DATABASE_URL",
                project.dir_option()
            ))
        })?;
        let secrets = Secrets::ensure(project, &*self.rng)?;
        rowhouse_db::url::with_login(&Secret::new(state.db_url), "rowhouse", &secrets.rowhouse)
            .map_err(|error: DbError| error.into())
    }
}
