//! Dispatches commands; each has a file of its own.

mod completions;
mod config;
mod consent;
mod db;
mod doctor;
mod exposure;
mod import;
mod init;
mod instance;
mod migrate;
mod psql;
mod serve;
mod status;
mod stop;
mod up;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rowhouse_kernel::{SharedClock, SharedRng, SystemClock, SystemRng};
use rowhouse_module::{CannotRun, CommandContext, CommandGroup, CommandOutcome, MakeCopy, Modules, Project};
use tokio::runtime::{Builder, Runtime};

use crate::cli::{Cli, Command, ConfigCommand, Invocation};
use crate::telemetry;

/// The program's one clock.
pub(crate) fn clock() -> SharedClock {
    Arc::new(SystemClock)
}

/// The program's one source of randomness.
pub(crate) fn rng() -> SharedRng {
    Arc::new(SystemRng)
}

/// How a command has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its outcome, or why it could not run.
    pub result: Result<CommandOutcome, CannotRun>,
    /// Whether an interrupt has ended it.
    pub is_interrupted: bool,
}

/// Runs one command.
#[must_use]
pub fn run(modules: &Modules, invocation: Invocation) -> Ended {
    match invocation {
        Invocation::Own(cli) => {
            let interrupted = AtomicBool::new(false);
            let result = run_own(modules, cli, &interrupted);
            Ended { result, is_interrupted: interrupted.into_inner() }
        }
        Invocation::Module { group, matches, dir } => run_group(modules, group, &matches, &dir)
            .unwrap_or_else(|error| Ended { result: Err(error), is_interrupted: false }),
    }
}

/// Runs a command of a module.
fn run_group(
    modules: &Modules,
    group: CommandGroup,
    matches: &clap::ArgMatches,
    dir: &Path,
) -> Result<Ended, CannotRun> {
    let (project, groups) = (Project::open(dir)?, modules.settings());
    let (find_caller, interrupted) = (modules.find_caller(), AtomicBool::new(false));
    let make_copy: Option<MakeCopy> = Some(migrate::make_copy);
    let context =
        CommandContext { project, groups, clock: clock(), rng: rng(), find_caller, make_copy, interrupted };
    let result = quiet()?.block_on((group.run)(matches, &context));
    Ok(Ended { result, is_interrupted: context.interrupted.into_inner() })
}

fn run_own(modules: &Modules, cli: Cli, interrupted: &AtomicBool) -> Result<CommandOutcome, CannotRun> {
    let dir = cli.dir;
    match cli.command {
        Command::Init { folder } => init::run(&folder.unwrap_or(dir)),
        Command::Completions { shell } => Ok(completions::run(modules, shell)),
        Command::Up(args) => {
            runtime(half_the_cores())?.block_on(up::run(modules, &Project::open(&dir)?, &args, cli.json))
        }
        Command::Serve(args) => runtime(cores())?.block_on(serve::run(modules, &Project::open(&dir)?, &args)),
        Command::Status => quiet()?.block_on(status::run(&Project::open(&dir)?)),
        Command::Stop => quiet()?.block_on(stop::run(&Project::open(&dir)?)),
        Command::Psql { as_project, args } => psql::run(&Project::open(&dir)?, as_project, &args),
        Command::Doctor => quiet()?.block_on(doctor::run(&dir)),
        Command::Config(ConfigCommand::Explain) => config::explain(&Project::open(&dir)?),
        Command::Config(ConfigCommand::Import { file }) => import::run(&file),
        Command::Db(command) => quiet()?.block_on(db::run(&Project::open(&dir)?, &command, interrupted)),
        Command::Migrate(command) => {
            quiet()?.block_on(migrate::run(&Project::open(&dir)?, &command, interrupted))
        }
    }
}

fn runtime(workers: usize) -> Result<Runtime, CannotRun> {
    Builder::new_multi_thread().worker_threads(workers).enable_all().build().map_err(Into::into)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Under `up` PostgreSQL runs on the same machine and needs more of it than this process. Further threads only cost
/// wake-ups: on two cores one thread serves an eighth more than two.
fn half_the_cores() -> usize {
    (cores() / 2).max(1)
}

/// The runtime of short commands: one thread, and only warnings in the log.
fn quiet() -> Result<Runtime, CannotRun> {
    telemetry::install(telemetry::LogLevel::Warn, None);
    Builder::new_current_thread().enable_all().build().map_err(Into::into)
}
