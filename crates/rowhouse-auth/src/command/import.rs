//! `auth import`: users of a GoTrue database.

use std::io::{IsTerminal, Write};

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use rowhouse_kernel::Secret;
use rowhouse_module::{CannotRun, CommandContext, CommandFuture, CommandGroup, CommandOutcome};
use serde_json::{Value, json};

use crate::flow::import::{Imported, Plan, import};

/// The variable with the source's URL. It has a password, so it is no argument.
const SOURCE: &str = "SOURCE_DATABASE_URL";

/// `auth …` on the command line.
pub(crate) const AUTH: CommandGroup = CommandGroup { command, run };

#[derive(Debug, Subcommand)]
enum AuthCommand {
    /// Import users of a GoTrue (Supabase Auth) database, with identities, second factors and password hashes
    #[command(
        after_help = "The source is the database in SOURCE_DATABASE_URL, else this project's own. Users who are there already are left as\nthey are, so an interrupted import goes on where it stopped.\n\nExample:\n  SOURCE_DATABASE_URL=postgresql://… rowhouse auth import --dry-run\n  SOURCE_DATABASE_URL=postgresql://… rowhouse auth import --sessions\n  rowhouse auth import --schema auth_gotrue"
    )]
    Import(ImportArgs),
}

#[derive(Debug, Args)]
struct ImportArgs {
    /// Schema of the source's tables
    #[arg(long, default_value = "auth")]
    schema: String,
    /// Import sessions and refresh tokens, too: users stay signed in
    #[arg(long)]
    sessions: bool,
    /// Do everything and roll it back: shows what would be imported
    #[arg(long)]
    dry_run: bool,
}

fn command() -> Command {
    let command = Command::new("auth").about("Users of another identity server");
    AuthCommand::augment_subcommands(command).subcommand_required(true).arg_required_else_help(true)
}

fn run<'a>(matches: &'a ArgMatches, context: &'a CommandContext) -> CommandFuture<'a> {
    Box::pin(async move {
        let AuthCommand::Import(args) = AuthCommand::from_arg_matches(matches)?;
        let source = match std::env::var(SOURCE).ok().filter(|url| !url.is_empty()) {
            Some(url) => rowhouse_db::connect(&Secret::new(url))
                .await
                .map_err(|error| CannotRun::because(format!("{SOURCE}: {error}")))?,
            None if args.schema == "auth" => {
                let why = "set SOURCE_DATABASE_URL, or name another schema of this database with --schema";
                return Err(CannotRun::because(why));
            }
            None => context.connect().await?,
        };
        let plan = Plan { schema: args.schema, sessions: args.sessions, dry_run: args.dry_run };
        let control = context.control()?;
        let imported = import(&source, &control, &context.origin(), &plan, show).await;
        let imported = imported.map_err(|error| CannotRun::because(error.to_string()))?;
        Ok(outcome(&plan, &imported))
    })
}

/// On a terminal, one line that is rewritten.
fn show(done: u64, total: i64) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let percent = done.saturating_mul(100) / u64::try_from(total).unwrap_or_default().max(1);
        let end = if i64::try_from(done) == Ok(total) { "\n" } else { "" };
        let _ = write!(stderr, "\r{done} of {total} users ({percent} %){end}");
        let _ = stderr.flush();
    }
}

fn outcome(plan: &Plan, imported: &Imported) -> CommandOutcome {
    let Imported { users, known, taken, taken_ids, without_password, rows } = imported;
    let verb = if plan.dry_run { "would be imported" } else { "imported" };
    let rows_text: Vec<String> = rows.iter().map(|(table, count)| format!("{count} {table}")).collect();
    let mut text = format!("{verb}: {users} users, {}\nthere already: {known}", rows_text.join(", "));
    if *taken > 0 {
        let named: Vec<String> = taken_ids.iter().take(10).map(ToString::to_string).collect();
        text += &format!(
            "\nleft out, since another user has the address or number: {taken}\n  {}",
            named.join("\n  ")
        );
    }
    if *without_password > 0 {
        text +=
            &format!("\nwithout a usable password hash, to set a new one by recovery: {without_password}");
    }
    let document: Value = json!({
        "dry_run": plan.dry_run, "users": users, "known": known, "taken": taken, "taken_ids": taken_ids,
        "without_password": without_password, "rows": rows,
    });
    CommandOutcome::yes(document, text)
}
