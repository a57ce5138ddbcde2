//! `auth import`: users of a GoTrue database.

use std::io::{IsTerminal, Write};

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use rowhouse_kernel::Secret;
use rowhouse_module::{CannotRun, CommandContext, CommandFuture, CommandGroup, CommandOutcome, grouped};
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
    let command = AuthCommand::augment_subcommands(Command::new("auth"));
    command
        .about("Bring users from another identity server")
        .after_help("Example:\n  SOURCE_DATABASE_URL=postgresql://… rowhouse auth import --dry-run")
        .subcommand_required(true)
        .arg_required_else_help(true)
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
        let total = u64::try_from(total).unwrap_or_default();
        let percent = done.saturating_mul(100) / total.max(1);
        let end = if done == total { "\n" } else { "" };
        let _ = write!(stderr, "\rusers: {} of {} ({percent} %){end}", grouped(done), grouped(total));
        let _ = stderr.flush();
    }
}

/// Most users whom the text names; the document has more.
const MOST_NAMED: usize = 10;

fn outcome(plan: &Plan, imported: &Imported) -> CommandOutcome {
    let Imported { users, known, taken, taken_ids, without_password, rows } = imported;
    let document: Value = json!({
        "dry_run": plan.dry_run, "users": users, "known": known, "taken": taken, "taken_ids": taken_ids,
        "without_password": without_password, "rows": rows,
    });
    CommandOutcome::yes(document, text(plan, imported))
}

/// A line for each table, then what was not imported as it is.
fn text(plan: &Plan, imported: &Imported) -> String {
    let verb = if plan.dry_run { "would be imported" } else { "imported" };
    let mut text = format!("{verb}:\n  users: {}", grouped(imported.users));
    for (table, count) in &imported.rows {
        text += &format!("\n  {table}: {}", grouped(*count));
    }
    text += &format!("\nthere already: {}", grouped(imported.known));
    if imported.taken > 0 {
        text += "\nleft out, since another user has the address or number: ";
        text += &grouped(imported.taken);
        let named: Vec<&uuid::Uuid> = imported.taken_ids.iter().take(MOST_NAMED).collect();
        named.iter().for_each(|id| text += &format!("\n  {id}"));
        let others = imported.taken.saturating_sub(named.len() as u64);
        if others > 0 {
            text += &format!("\n  and others: {}", grouped(others));
        }
    }
    if imported.without_password > 0 {
        let number = grouped(imported.without_password);
        text += &format!("\nwithout a usable password hash, to set a new one by recovery: {number}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn text_has_a_line_for_each_count_and_the_document_every_count() {
        let plan = Plan { schema: "auth".to_owned(), sessions: false, dry_run: true };
        let ids: Vec<uuid::Uuid> = (0..12).map(uuid::Uuid::from_u128).collect();
        let imported = Imported {
            users: 12_345,
            known: 1,
            taken: 1_012,
            taken_ids: ids.clone(),
            without_password: 1,
            rows: BTreeMap::from([
                ("identities", 1_234_567),
                ("mfa_factors", 1),
                ("webauthn_credentials", 0),
            ]),
        };
        let outcome = outcome(&plan, &imported);
        let named: String = ids[..10].iter().map(|id| format!("  {id}\n")).collect();
        let expected = format!(
            "would be imported:\n  users: 12,345\n  identities: 1,234,567\n  mfa_factors: 1\n  webauthn_credentials: 0\nthere already: 1\nleft out, since another user has the address or number: 1,012\n{named}  and others: 1,002\nwithout a usable password hash, to set a new one by recovery: 1"
        );
        assert_eq!(outcome.text, expected);
        assert_eq!(
            outcome.json,
            json!({ "dry_run": true, "users": 12_345, "known": 1, "taken": 1_012, "taken_ids": ids, "without_password": 1,
                "rows": { "identities": 1_234_567, "mfa_factors": 1, "webauthn_credentials": 0 } })
        );
    }

    #[test]
    fn nothing_wrong_is_nothing_said() {
        let plan = Plan { schema: "auth".to_owned(), sessions: false, dry_run: false };
        assert_eq!(text(&plan, &Imported::default()), "imported:\n  users: 0\nthere already: 0");
    }
}
