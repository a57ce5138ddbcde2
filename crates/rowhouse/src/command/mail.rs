//! `mail`: what became of mails, and what an operator can do about them.

mod credential;
mod dns;
mod suppression;
mod trial;

use rowhouse_mail::history;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::cli::MailCommand;
use crate::command::migrate::connect_project;
use rowhouse_module::Project;
use rowhouse_module::{CannotRun, Outcome};

pub(super) async fn run(project: &Project, command: &MailCommand) -> Result<Outcome, CannotRun> {
    if let MailCommand::Dns { check, server } = command {
        return dns::run(project, *check, *server).await;
    }
    let client = connect_project(project).await?;
    match command {
        MailCommand::Dns { check, server } => dns::run(project, *check, *server).await,
        MailCommand::List { state, limit } => {
            list(&client, state.map(crate::cli::MailState::name), *limit).await
        }
        MailCommand::Show { id } => show(&client, *id).await,
        MailCommand::Test { address, timeout } => trial::run(project, &client, address, *timeout).await,
        MailCommand::Retry { id } => {
            let changed = history::retry(&client, *id).await?;
            change(&client, *id, changed, "queued again", "has no recipient that was given up").await
        }
        MailCommand::Cancel { id } => {
            let changed = history::cancel(&client, *id).await?;
            change(&client, *id, changed, "given up", "has no recipient that waits").await
        }
        MailCommand::Suppressions(command) => suppression::run(&client, command).await,
        MailCommand::Credentials(command) => credential::run(&client, command).await,
    }
}

async fn list(client: &Client, state: Option<&str>, limit: i64) -> Result<Outcome, CannotRun> {
    let mails = history::list(client, state, limit).await?;
    let columns = ["id", "created_at", "address", "state", "attempts", "subject"];
    let text = table(&columns, &mails);
    Ok(Outcome::yes(json!({ "mails": mails }), text))
}

async fn show(client: &Client, id: i64) -> Result<Outcome, CannotRun> {
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
    Ok(Outcome::yes(mail, text))
}

/// Exit code 1 when there was nothing to change.
async fn change(
    client: &Client,
    id: i64,
    changed: u64,
    done: &str,
    nothing: &str,
) -> Result<Outcome, CannotRun> {
    let mail = history::find(client, id).await?.ok_or_else(|| missing(id))?;
    let text =
        if changed > 0 { format!("recipients {done}: {changed}") } else { format!("mail {id} {nothing}") };
    Ok(Outcome { yes: changed > 0, json: json!({ "changed": changed, "mail": mail }), text })
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

/// Text without quotation marks, nothing for null, and no control characters: others have written it.
fn plain(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
