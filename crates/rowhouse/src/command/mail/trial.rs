//! `mail test`: one mail on the way that all take, and what really became of it.

use std::time::{Duration, Instant};

use rowhouse_mail::{MailError, Mailer, NewMail, history, read_mailbox};
use serde_json::Value;
use tokio_postgres::Client;

use super::plain;
use crate::outcome::{CannotRun, Outcome};
use crate::project::Project;

const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Yes if the transport took it. A mail that was not taken is given up, so that it does not arrive tomorrow.
pub(super) async fn run(
    project: &Project,
    client: &Client,
    address: &str,
    timeout: Duration,
) -> Result<Outcome, CannotRun> {
    let (settings, _) = project.settings()?;
    let site_name = settings.mail.site_name.clone();
    let mailer = Mailer::new(settings.mail, crate::command::clock(), crate::command::rng())?;
    let mail = NewMail {
        to: vec![read_mailbox("address", address)?],
        subject: format!("Test mail of {site_name}"),
        text: Some("This mail shows that mails leave this installation.\n".to_owned()),
        tag: Some("mail-test".to_owned()),
        ..NewMail::default()
    };
    let accepted = mailer.send(client, &mail).await?;
    let began = Instant::now();
    let mut document = look(client, accepted.id).await?;
    while is_open(&document) && began.elapsed() < timeout {
        tokio::time::sleep(LOOK_AGAIN).await;
        document = look(client, accepted.id).await?;
    }
    let (yes, text) = judge(&document, timeout);
    if !yes {
        history::cancel(client, accepted.id).await?;
    }
    Ok(Outcome { yes, text, json: document })
}

async fn look(client: &Client, id: i64) -> Result<Value, CannotRun> {
    let found = history::find(client, id).await?;
    found.ok_or_else(|| MailError::Unusable(format!("mail {id} has gone")).into())
}

fn state(document: &Value) -> &str {
    document["recipients"][0]["state"].as_str().unwrap_or_default()
}

/// Nobody has given an answer yet.
fn is_open(document: &Value) -> bool {
    matches!(state(document), "queued" | "sending")
}

fn judge(document: &Value, timeout: Duration) -> (bool, String) {
    let recipient = &document["recipients"][0];
    let (address, reply) = (plain(&recipient["address"]), plain(&recipient["last_reply"]));
    match state(document) {
        "sent" => (true, format!("sent to {address}: {reply}")),
        "captured" => {
            (true, format!("captured, not sent: mail.transport is capture. Mail {}", document["id"]))
        }
        "delayed" => (false, format!("not taken for {address}, and given up: {reply}")),
        "queued" | "sending" => {
            let waited = timeout.as_secs();
            (false, format!("no outcome within {waited} s, and given up; is a worker running?"))
        }
        ended => (false, format!("{ended}: {address}: {reply}")),
    }
}

#[cfg(test)]
mod tests;
