//! `rls prove` and `rls prove --mutate`. Leaves what is tried to `prove` and `mutate`.

mod shown;

use std::cell::Cell;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::path::{Path, PathBuf};

use clap::Args;
use rowhouse_kernel::settings::{Environment, ProjectSettings};
use rowhouse_module::{CannotRun, CommandContext, CommandOutcome};
use serde_json::json;

use crate::mutate::{Fate, Mutation, mutate};
use crate::prove::{Plan, document, page, prove, script};

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
    /// Put defects into the schema, one at a time, and report whether proof and audit find each; takes short exclusive locks
    #[arg(long, conflicts_with_all = ["matrix", "html", "pgtap"])]
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
        return Err(CannotRun::because(
            "--mutate locks tables while it changes them, so it does not run in production: run it on a restored copy or in staging",
        ));
    }
    let client = context.connect().await?;
    let shown = Progress::new();
    let told = |done: usize, total: usize, next: &str| shown.tell(done, total, next);
    if args.mutate {
        let mutation = mutate(&client, &plan, args.every, &told).await;
        shown.end();
        return Ok(mutated(&mutation?));
    }
    let proof = prove(&client, &plan, &told).await;
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

fn write(path: Option<&Path>, text: impl FnOnce() -> String) -> Result<(), CannotRun> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, text())
        .map_err(|error| CannotRun::because(format!("cannot write {}: {error}", path.display())))
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
