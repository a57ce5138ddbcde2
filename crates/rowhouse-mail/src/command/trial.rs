//! `mail test`: sends one mail through the configured transport and reports its outcome.

use std::time::{Duration, Instant};

use rowhouse_module::{CannotRun, CommandContext, CommandOutcome};
use serde_json::Value;
use tokio_postgres::Client;

use super::plain;
use crate::settings::{MailSettings, MailTransport};
use crate::{Letter, MailError, NewMail, Variables, history, read_mailbox};

const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Yes if the transport accepted it. A mail that was not accepted is cancelled, so that it does not arrive later.
pub(super) async fn run(
    context: &CommandContext,
    client: &Client,
    address: &str,
    timeout: Duration,
) -> Result<CommandOutcome, CannotRun> {
    let transport = context.settings()?.get::<MailSettings>().transport;
    let mailer = super::mailer(context)?;
    let to = read_mailbox("address", address)?;
    let letter = mailer.write(Letter::Test, None, to, &Variables::default())?;
    let mail = NewMail { tag: Some("mail-test".to_owned()), ..letter };
    let accepted = mailer.send(client, &mail).await?;
    let mut document = wait(client, accepted.id, timeout).await?;
    if is_open(&document) || state(&document) == "delayed" {
        let is_delayed = state(&document) == "delayed";
        let given_up = history::cancel(client, accepted.id).await? > 0;
        // If it has reached a final state in the meantime, that state is reported.
        if !(given_up && is_delayed) {
            document = look(client, accepted.id).await?;
        }
    }
    let (yes, text) = judge(&document, transport, timeout);
    document["says"] = text.as_str().into();
    Ok(CommandOutcome { yes, text, json: document })
}

/// The mail once it has an outcome, or its state after `timeout`.
async fn wait(client: &Client, id: i64, timeout: Duration) -> Result<Value, CannotRun> {
    let began = Instant::now();
    let mut document = look(client, id).await?;
    while is_open(&document) && began.elapsed() < timeout {
        tokio::time::sleep(LOOK_AGAIN).await;
        document = look(client, id).await?;
    }
    Ok(document)
}

async fn look(client: &Client, id: i64) -> Result<Value, CannotRun> {
    let found = history::find(client, id).await?;
    found.ok_or_else(|| MailError::Unusable(format!("mail {id} was deleted")).into())
}

fn state(document: &Value) -> &str {
    document["recipients"][0]["state"].as_str().unwrap_or_default()
}

/// True while there is no outcome.
fn is_open(document: &Value) -> bool {
    matches!(state(document), "queued" | "sending")
}

fn judge(document: &Value, transport: MailTransport, timeout: Duration) -> (bool, String) {
    let recipient = &document["recipients"][0];
    let (address, reply) = (plain(&recipient["address"]), plain(&recipient["last_reply"]));
    let waited = timeout.as_secs();
    match state(document) {
        "sent" if transport == MailTransport::File => {
            (true, format!("{reply}, not sent: mail.transport is file"))
        }
        "sent" => (true, format!("sent to {address}: {reply}")),
        "captured" => (
            true,
            format!(
                "captured, not sent: mail.transport is capture, nothing leaves this machine. Mail {}",
                document["id"]
            ),
        ),
        "delayed" => (false, format!("not taken for {address}, and given up: {reply}")),
        "sending" => (
            false,
            format!("no outcome within {waited} s; an attempt is under way, and the mail may yet arrive"),
        ),
        // No worker has attempted it; it was cancelled without an outcome.
        "failed" if recipient["attempts"] == 0 => {
            (false, format!("no outcome within {waited} s, and given up; is a worker running?"))
        }
        ended => (false, format!("{ended}: {address}: {reply}")),
    }
}

#[cfg(test)]
mod tests;
