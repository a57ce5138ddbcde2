//! The commands and their help.

use std::path::PathBuf;

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use rowhouse_module::{CommandGroup, Modules};

use crate::telemetry::LogFormat;

/// A multi-tenant SaaS backend in one program, on the PostgreSQL you own.
#[derive(Debug, Parser)]
#[command(
    name = "rowhouse",
    version,
    max_term_width = 110,
    after_help = "Start here:\n  rowhouse init my-saas && rowhouse up --dir my-saas\n\nExit codes: 0 yes or done, 1 the check says no, 2 could not run, 130 interrupted."
)]
pub struct Cli {
    /// The project's folder
    #[arg(long, global = true, default_value = ".", value_name = "DIR")]
    pub dir: PathBuf,
    /// Print exactly one JSON document on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// A parsed command line.
pub enum Invocation {
    /// A command of the program itself.
    Own(Cli),
    /// A command of a module.
    Module {
        /// The command group.
        group: CommandGroup,
        /// Its arguments.
        matches: ArgMatches,
        /// The project's folder.
        dir: PathBuf,
    },
}

/// The program's commands and those of the modules.
#[must_use]
pub fn command(modules: &Modules) -> clap::Command {
    let theirs = modules.commands();
    theirs.iter().fold(Cli::command(), |command, group| command.subcommand((group.command)()))
}

/// Parses the command line. The second value says whether `--json` was given.
///
/// # Errors
/// What is wrong with it, or the requested help.
pub fn parse(
    modules: &Modules,
    arguments: impl Iterator<Item = std::ffi::OsString>,
) -> Result<(Invocation, bool), clap::Error> {
    let all = command(modules).try_get_matches_from(arguments)?;
    let as_json = all.get_flag("json");
    let (name, matches) = all.subcommand().unzip();
    let group = modules.commands().into_iter().find(|group| Some((group.command)().get_name()) == name);
    let invocation = match (group, matches, all.get_one::<PathBuf>("dir")) {
        (Some(group), Some(matches), Some(dir)) => {
            Invocation::Module { group, matches: matches.clone(), dir: dir.clone() }
        }
        _ => Invocation::Own(Cli::from_arg_matches(&all)?),
    };
    Ok((invocation, as_json))
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a project folder
    #[command(after_help = "Example:\n  rowhouse init my-saas")]
    Init {
        /// Where; created when missing, and must be empty of Rowhouse files [default: --dir]
        folder: Option<PathBuf>,
    },
    /// Run everything for development, with a PostgreSQL of its own unless DATABASE_URL is set
    #[command(after_help = "Example:\n  rowhouse up --dir my-saas --port 54321")]
    Up(UpArgs),
    /// Run in production against DATABASE_URL
    #[command(
        after_help = "Example:\n  DATABASE_URL=postgres://rowhouse:…@db/app rowhouse serve --dir my-saas"
    )]
    Serve(ServeArgs),
    /// Say whether the project's server runs and is ready
    #[command(after_help = "Example:\n  rowhouse status --json | jq -r .url")]
    Status,
    /// Stop the project's server and wait for its end
    #[command(after_help = "Example:\n  rowhouse stop --dir my-saas")]
    Stop,
    /// Open psql on the project's database, under `up` as its superuser; arguments go to psql unchanged
    #[command(
        after_help = "Example:\n  rowhouse psql -c 'select * from tenants'\n  rowhouse psql --as-project -c 'select * from todos'"
    )]
    Psql {
        /// Open it with the rights of the project's migrations only (the role rowhouse_project); before psql's arguments
        #[arg(long)]
        as_project: bool,
        /// For psql
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Check this machine and this project, and name the remedy for what is wrong
    #[command(after_help = "Example:\n  rowhouse doctor --dir my-saas")]
    Doctor,
    /// Show every effective setting, and translate PostgREST's configuration
    #[command(subcommand, after_help = "Example:\n  rowhouse config explain")]
    Config(ConfigCommand),
    /// Judge, show and apply migrations, adopt existing tables, and set the logins' passwords
    #[command(subcommand, after_help = "Example:\n  rowhouse migrate status\n  rowhouse migrate up")]
    Migrate(MigrateCommand),
    /// Compare a database with its migrations, write its first one, or begin anew
    #[command(subcommand, after_help = "Example:\n  rowhouse db diff\n  rowhouse db pull")]
    Db(DbCommand),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  rowhouse completions bash > /etc/bash_completion.d/rowhouse")]
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
}

/// `up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Port of the API; PostgreSQL listens on the next one, captured mail on + 3, SMTP on + 4 [default: 54321]
    #[arg(long)]
    pub port: Option<u16>,
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long)]
    pub host: Option<String>,
    /// How log lines look [default: text on a terminal, else json]
    #[arg(long, value_enum)]
    pub log_format: Option<LogFormat>,
    /// Agree to prepare and migrate the database in DATABASE_URL
    #[arg(long)]
    pub yes: bool,
}

/// `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// What this process does
    #[arg(long, value_delimiter = ',', default_value = "api,worker")]
    pub roles: Vec<ServeRole>,
    /// How log lines look [default: text on a terminal, else json]
    #[arg(long, value_enum)]
    pub log_format: Option<LogFormat>,
    /// Retry, with growing pauses, while the database is not available or not prepared
    #[arg(long)]
    pub retry: bool,
}

/// Roles of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ServeRole {
    /// Answers requests
    Api,
    /// Runs background jobs
    Worker,
}

/// `config …`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every effective value, masked where secret, with where it came from
    #[command(after_help = "Example:\n  rowhouse config explain --json")]
    Explain,
    /// Print a postgrest.conf as rowhouse.toml, with comments on settings that have no effect
    #[command(after_help = "Example:\n  rowhouse config import postgrest.conf > my-saas/rowhouse.toml")]
    Import {
        /// PostgREST's configuration
        file: PathBuf,
    },
}

/// `migrate …`.
#[derive(Debug, Subcommand)]
pub enum MigrateCommand {
    /// List the project's migrations and whether they are applied
    #[command(after_help = "Example:\n  rowhouse migrate status --dir my-saas")]
    Status,
    /// Apply platform and project migrations
    #[command(after_help = "Example:\n  rowhouse migrate up --dry-run")]
    Up(UpMigrationsArgs),
    /// Say what is dangerous in migrations before they run: locks, breaking changes, missing isolation
    #[command(
        after_help = "Example:\n  rowhouse migrate lint\n  rowhouse migrate lint migrations/20261120093000_todos.sql --json"
    )]
    Lint {
        /// Files to judge [default: all of the project's migrations]
        files: Vec<PathBuf>,
    },
    /// Apply migrations, take them back and apply them again, in a database beside the project's
    #[command(
        after_help = "Example:\n  rowhouse migrate roundtrip\n  rowhouse migrate roundtrip --all --json"
    )]
    Roundtrip(RoundtripArgs),
    /// Measure what migrations lock and hold up, in a database beside the project's, under load
    #[command(
        after_help = "Example:\n  rowhouse migrate trace\n  rowhouse migrate trace --rows 100000 --json"
    )]
    Trace(TraceArgs),
    /// Write an empty migration with a commented head
    #[command(after_help = "Example:\n  rowhouse migrate new add_due_date")]
    New {
        /// What it does: letters, digits and underscores
        name: String,
    },
    /// Take back the newest migration, by its .down.sql file
    #[command(
        after_help = "Example:\n  rowhouse migrate down --dry-run\n  rowhouse migrate down --to 20261120093000_todos --yes"
    )]
    Down(DownArgs),
    /// Check that all is applied, conditions hold, and nothing was changed beside the migrations
    #[command(after_help = "Example:\n  rowhouse migrate verify --json")]
    Verify,
    /// Change the owner of existing tables to the role that migrations run as
    #[command(after_help = "Example:\n  rowhouse migrate adopt --dry-run\n  rowhouse migrate adopt --yes")]
    Adopt(AdoptArgs),
    /// Set the configured passwords of the data plane's logins, for the whole server
    #[command(after_help = "Example:\n  rowhouse migrate passwords --yes")]
    Passwords {
        /// Agree without a prompt
        #[arg(long)]
        yes: bool,
    },
}

/// `db …`.
#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Name the objects that the applied migrations do not give
    #[command(after_help = "Example:\n  rowhouse db diff --json")]
    Diff,
    /// Write the first migration from the tables that are there, and record it as applied
    #[command(after_help = "Example:\n  rowhouse db pull")]
    Pull,
    /// Remove the database of a stopped project in development; the next `up` makes it anew, with seed.sql
    #[command(after_help = "Example:\n  rowhouse stop && rowhouse db reset --yes && rowhouse up")]
    Reset {
        /// Agree that all of its rows are lost
        #[arg(long)]
        yes: bool,
    },
}

/// `migrate up`.
#[derive(Debug, Args)]
pub struct UpMigrationsArgs {
    /// Print what would be applied and what lint says, and change nothing; exit code 1 where production refuses it
    #[arg(long)]
    pub dry_run: bool,
    /// Agree that other roles lose the privileges of PUBLIC in a shared database
    #[arg(long)]
    pub yes: bool,
    /// Do not wait until the running processes serve the new schema
    #[arg(long)]
    pub no_wait: bool,
    /// Apply what lint refuses in production; the ledger keeps that it was left out
    #[arg(long)]
    pub no_lint: bool,
}

/// `migrate down`.
#[derive(Debug, Args)]
pub struct DownArgs {
    /// How many migrations, the newest first
    #[arg(long, default_value_t = 1, conflicts_with = "to")]
    pub steps: usize,
    /// Take back every migration that was applied after this one
    #[arg(long, value_name = "NAME")]
    pub to: Option<String>,
    /// Print the SQL that would run and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Agree that what the migrations brought is lost, rows included
    #[arg(long)]
    pub yes: bool,
    /// Do not wait until the running processes serve the new schema
    #[arg(long)]
    pub no_wait: bool,
}

/// `migrate roundtrip`.
#[derive(Debug, Args)]
pub struct RoundtripArgs {
    /// Try every migration [default: those that are pending, else the newest]
    #[arg(long, conflicts_with = "data")]
    pub all: bool,
    /// SQL that fills the tables before [default: seed.sql, if it fits]
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
}

/// `migrate trace`.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// Trace every migration, from empty tables on [default: those that are pending, else the newest]
    #[arg(long, conflicts_with_all = ["data", "rows"])]
    pub all: bool,
    /// SQL that fills the tables before [default: the rows of the project's own tables]
    #[arg(long, value_name = "FILE", conflicts_with = "rows")]
    pub data: Option<PathBuf>,
    /// How many rows of each table are copied at most [default: migrate.trace_rows]
    #[arg(long, value_name = "N")]
    pub rows: Option<u64>,
}

/// `migrate adopt`.
#[derive(Debug, Args)]
pub struct AdoptArgs {
    /// Schemas to adopt
    #[arg(long = "schema", value_name = "SCHEMA", default_value = "public")]
    pub schemas: Vec<String>,
    /// Print what would be adopted and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Agree without a prompt
    #[arg(long)]
    pub yes: bool,
}
