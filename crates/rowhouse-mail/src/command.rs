//! `mail`: the state of mails, and what an operator can do about them.

mod arguments;
mod credential;
mod dns;
mod sender;
mod suppression;
mod trial;

use std::sync::Arc;

use clap::{ArgMatches, Command, FromArgMatches, Subcommand};
use rowhouse_module::{CannotRun, CommandContext, CommandFuture, CommandGroup, CommandOutcome};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::settings::MailSettings;
use crate::{Mailer, Templates, history};
use arguments::MailCommand;

/// `mail …`.
pub(crate) const GROUP: CommandGroup = CommandGroup { command, run: run_matches };

fn command() -> Command {
    let command = MailCommand::augment_subcommands(Command::new("mail"));
    command
        .about("Inspect and retry mails, test the delivery, and manage suppressed addresses, senders and SMTP credentials")
        .after_help("Example:\n  rowhouse mail list\n  rowhouse mail test ada@example.com")
        .subcommand_required(true)
        .arg_required_else_help(true)
}

fn run_matches<'a>(matches: &'a ArgMatches, context: &'a CommandContext) -> CommandFuture<'a> {
    Box::pin(async move {
        let command = MailCommand::from_arg_matches(matches);
        run(context, &command.map_err(|error| CannotRun::because(error.to_string()))?).await
    })
}

async fn run(context: &CommandContext, command: &MailCommand) -> Result<CommandOutcome, CannotRun> {
    if let MailCommand::Dns { check, server } = command {
        return dns::run(context, *check, *server).await;
    }
    let client = context.connect().await?;
    match command {
        MailCommand::Dns { check, server } => dns::run(context, *check, *server).await,
        MailCommand::List { state, limit } => {
            list(&client, state.map(arguments::MailState::name), *limit).await
        }
        MailCommand::Show { id } => show(&client, *id).await,
        MailCommand::Test { address, timeout } => trial::run(context, &client, address, *timeout).await,
        MailCommand::Retry { id } => {
            let changed = history::retry(&client, *id).await?;
            change(&client, *id, changed, "queued again", "has no recipient that was given up").await
        }
        MailCommand::Cancel { id } => {
            let changed = history::cancel(&client, *id).await?;
            change(&client, *id, changed, "given up", "has no recipient that waits").await
        }
        MailCommand::Suppressions(command) => suppression::run(&client, command).await,
        MailCommand::Credentials(command) => credential::run(context, &client, command).await,
        MailCommand::Senders(command) => sender::run(context, &client, command).await,
    }
}

/// A mailer as the project has configured it.
fn mailer(context: &CommandContext) -> Result<Mailer, CannotRun> {
    let settings = context.settings()?.get::<MailSettings>();
    let templates = Templates::of_project(&context.project.root().join("mail"), &settings.language);
    let templates = Arc::new(templates.map_err(|mistakes| CannotRun(mistakes.0))?);
    let mailer = Mailer::new((*settings).clone(), context.clock.clone(), context.rng.clone())?;
    Ok(mailer.with_templates(templates))
}

async fn list(client: &Client, state: Option<&str>, limit: i64) -> Result<CommandOutcome, CannotRun> {
    let mails = history::list(client, state, limit).await?;
    let columns = ["id", "created_at", "address", "state", "attempts", "subject"];
    let text = table(&columns, &mails);
    Ok(CommandOutcome::yes(json!({ "mails": mails }), text))
}

async fn show(client: &Client, id: i64) -> Result<CommandOutcome, CannotRun> {
    let mail = history::find(client, id).await?.ok_or_else(|| missing(id))?;
    let mut text = String::new();
    for key in ["id", "message_id", "created_at", "sender", "subject", "size", "tag", "tenant", "request_id"]
    {
        if !mail[key].is_null() {
            text.push_str(&format!("{key:<11} {}\n", plain(&mail[key])));
        }
    }
    for recipient in mail["recipients"].as_array().into_iter().flatten() {
        let (address, state) = (plain(&recipient["address"]), plain(&recipient["state"]));
        text.push_str(&format!("\n{address}: {state}, attempt {}\n", recipient["attempts"]));
        for event in recipient["events"].as_array().into_iter().flatten() {
            let (at, name, reply) = (plain(&event["at"]), plain(&event["event"]), plain(&event["reply"]));
            text.push_str(&format!("  {at}  {name}  {reply}\n"));
        }
    }
    Ok(CommandOutcome::yes(mail, text))
}

/// Exit code 1 when there was nothing to change.
async fn change(
    client: &Client,
    id: i64,
    changed: u64,
    done: &str,
    nothing: &str,
) -> Result<CommandOutcome, CannotRun> {
    let mail = history::find(client, id).await?.ok_or_else(|| missing(id))?;
    let text =
        if changed > 0 { format!("recipients {done}: {changed}") } else { format!("mail {id} {nothing}") };
    Ok(CommandOutcome { yes: changed > 0, json: json!({ "changed": changed, "mail": mail }), text })
}

fn missing(id: i64) -> CannotRun {
    CannotRun::because(format!("no mail {id}"))
}

fn table(columns: &[&str], rows: &[Value]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(columns);
    for row in rows {
        table.add_row(columns.iter().map(|column| plain(&row[*column])));
    }
    table.to_string()
}

/// The string itself, nothing for null, and without control characters, since senders and relays have written it.
fn plain(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
