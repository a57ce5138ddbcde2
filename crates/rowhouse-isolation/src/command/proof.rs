//! `rls prove` and `rls prove --mutate`. Leaves what is tried to `prove` and `mutate`.

mod shown;

use std::cell::Cell;
use std::fs::File;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::path::{Path, PathBuf};

use clap::Args;
use rowhouse_db::scratch::Scratch;
use rowhouse_db::{DataPlaneUrls, DbError, DbSettings};
use rowhouse_kernel::settings::{Environment, ProjectSettings, Settings};
use rowhouse_module::{CannotRun, CommandContext, CommandOutcome, counted};
use serde_json::json;
use tokio_postgres::Client;

use crate::mutate::{Fate, Mutation, mutate};
use crate::prove::{Copy, Plan, Proof, Told, document, page, prove, prove_over_http, script};

const NOT_SERVED: &str = "--mutate locks tables while it changes them, so it does not run in production or beside a data API: run \
                          it on a restored copy, or in staging with the servers stopped";

#[derive(Debug, Args)]
pub(super) struct ProveArgs {
    /// Only this schema, by its name as it is stored; may be repeated [default: the schemas that the data API serves]
    #[arg(long, value_name = "NAME")]
    schema: Vec<String>,
    /// Put every cell of the matrix into the document of --json
    #[arg(long)]
    matrix: bool,
    /// Write the matrix as a page into this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the denials as pgTAP tests into this file
    #[arg(long, value_name = "FILE")]
    pgtap: Option<PathBuf>,
    /// Send the same attempts over HTTP, too, and look for what requests leave in connections; in a database of its own beside the
    /// project's, made from the migrations and dropped afterwards
    #[arg(long)]
    http: bool,
    /// Put defects into the schema, one at a time, and report whether proof and audit find each; takes short exclusive locks
    #[arg(long, conflicts_with_all = ["matrix", "html", "pgtap", "http"])]
    mutate: bool,
    /// With --mutate: each kind of defect in every table rather than in one
    #[arg(long, requires = "mutate")]
    every: bool,
}

pub(super) async fn run(context: &CommandContext, args: ProveArgs) -> Result<CommandOutcome, CannotRun> {
    let settings = context.settings()?;
    let mut plan = Plan::of(&settings)?;
    plan.scope.schemas.clone_from(&args.schema);
    if args.mutate && settings.get::<ProjectSettings>().environment == Environment::Production {
        return Err(CannotRun::because(NOT_SERVED));
    }
    let client = context.connect().await?;
    if args.mutate {
        require_idle(&settings, &client, &plan.scope.login).await?;
    }
    let shown = Progress::new();
    let told = |done: usize, total: usize, next: &str| shown.tell(done, total, next);
    if args.mutate {
        let mutation = mutate(&client, &plan, args.every, &told).await;
        shown.end();
        return Ok(mutated(&mutation?));
    }
    let proof = all(context, &args, &settings, &client, &plan, &told).await;
    shown.end();
    let proof = proof?;
    write(args.html.as_deref(), || page(&proof))?;
    write(args.pgtap.as_deref(), || script(&proof))?;
    Ok(CommandOutcome {
        yes: proof.passes(),
        json: document(&proof, args.matrix),
        text: shown::proof(&proof),
    })
}

/// Refuses a database that serves a data API, whatever the settings here say of the environment; that of the project's own `up`
/// is one for development.
async fn require_idle(settings: &Settings, client: &Client, login: &str) -> Result<(), CannotRun> {
    let sql = "select count(*) from pg_stat_activity where datname = current_database() and usename = $1";
    let served: i64 = client.query_one(sql, &[&login]).await.map_err(DbError::from)?.get(0);
    let is_of_up = settings.get::<DbSettings>().server_url().is_none();
    if served == 0 || is_of_up {
        return Ok(());
    }
    let connections = counted(served.unsigned_abs(), "connection", "connections");
    Err(CannotRun::because(format!("{NOT_SERVED} ({connections} of {login} here)")))
}

async fn all(
    context: &CommandContext,
    args: &ProveArgs,
    settings: &Settings,
    client: &Client,
    plan: &Plan,
    told: Told<'_>,
) -> Result<Proof, CannotRun> {
    let mut proof = prove(client, plan, told).await?;
    if args.http {
        told(0, 1, "making a database from the migrations");
        let over_http = over_http(context, settings, plan, told).await?;
        proof.add(over_http, plan);
    }
    Ok(proof)
}

/// Lets the data plane's logins into a database that was made for migrations, which need none.
async fn admit(scratch: &Scratch, logins: &DataPlaneUrls) -> Result<(), CannotRun> {
    let owner = scratch.connect_as_owner().await?;
    for url in [&logins.authenticator, &logins.service] {
        let login = rowhouse_db::url::login(url)?.replace('"', "\"\"");
        let grant = format!("grant connect on database \"{}\" to \"{login}\"", scratch.name);
        owner.batch_execute(&grant).await.map_err(DbError::from)?;
    }
    Ok(())
}

/// In a database of its own; it is dropped, also after an error or an interrupt.
async fn over_http(
    context: &CommandContext,
    settings: &Settings,
    plan: &Plan,
    told: Told<'_>,
) -> Result<Proof, CannotRun> {
    let urls = context.database_urls()?;
    let make = context
        .make_copy
        .ok_or_else(|| CannotRun::because("there are no migrations to make a database from"))?;
    let scratch = make(context).await?;
    let shown = async {
        admit(&scratch, &urls.data).await?;
        let urls = urls.in_database(&scratch.name)?;
        let copy = Copy { urls: &urls, settings, clock: &context.clock, rng: &context.rng };
        prove_over_http(&copy, plan, told).await
    };
    let shown = context.interruptible("the project's database is as it was", shown).await;
    scratch.remove().await?;
    shown
}

fn mutated(mutation: &Mutation) -> CommandOutcome {
    let json = json!({
        "verdict": if mutation.passes() { "pass" } else { "fail" },
        "kill_rate": mutation.kill_rate(),
        "counts": {
            "killed": mutation.count(Fate::Killed),
            "survived": mutation.count(Fate::Survived),
            "skipped": mutation.count(Fate::Skipped),
        },
        "false_alarms": mutation.false_alarms,
        "mutants": mutation.mutants,
    });
    CommandOutcome { yes: mutation.passes(), json, text: shown::mutation(mutation) }
}

/// Writes a new file and puts it in the place of an old one: what a link of that name leads to stays as it is.
fn write(path: Option<&Path>, text: impl FnOnce() -> String) -> Result<(), CannotRun> {
    let Some(path) = path else { return Ok(()) };
    let cannot = |error| CannotRun::because(format!("cannot write {}: {error}", path.display()));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let written = File::create_new(&new).and_then(|mut file| file.write_all(text().as_bytes()));
    let placed = written.and_then(|()| std::fs::rename(&new, path));
    placed.map_err(|error| {
        let _unimportant = std::fs::remove_file(&new);
        cannot(error)
    })
}

/// One line that changes, on a terminal only.
struct Progress {
    is_terminal: bool,
    width: Cell<usize>,
}

impl Progress {
    fn new() -> Self {
        Self { is_terminal: stderr().is_terminal(), width: Cell::new(0) }
    }

    fn tell(&self, done: usize, total: usize, next: &str) {
        if self.is_terminal {
            let text: String =
                format!("{done} of {total}: {}", super::shown::plain(next)).chars().take(78).collect();
            let _unimportant = write!(stderr(), "\r{text:<width$}", width = self.width.get());
            self.width.set(text.chars().count());
        }
    }

    fn end(&self) {
        if self.is_terminal {
            let _unimportant = write!(stderr(), "\r{:<width$}\r", "", width = self.width.get());
        }
    }
}
