//! `mail senders`: senders that tenants' credentials may use.

use rowhouse_module::{CannotRun, CommandContext, CommandOutcome};
use serde_json::json;
use tokio_postgres::Client;

use super::arguments::SendersCommand;
use super::{mailer, table};
use crate::sender::{self, ProofResult};
use crate::settings::MailSettings;

pub(super) async fn run(
    context: &CommandContext,
    client: &Client,
    command: &SendersCommand,
) -> Result<CommandOutcome, CannotRun> {
    match command {
        SendersCommand::List { tenant } => {
            let lifetime = context.settings()?.get::<MailSettings>().sender_proof_lifetime;
            let all = serde_json::to_value(sender::list(client, *tenant, lifetime).await?)?;
            let columns = ["tenant", "kind", "name", "created_at", "proved_at", "expires_at"];
            let text = table(&columns, all.as_array().map(Vec::as_slice).unwrap_or_default());
            Ok(CommandOutcome::yes(json!({ "senders": all }), text))
        }
        SendersCommand::Add { tenant, name } => {
            let secret = sender::new_secret(&*context.rng);
            let asked = sender::ask(client, *tenant, name.clone(), secret).await?;
            if let Some(letter) = &asked.letter {
                mailer(context)?.send(client, letter).await?;
            }
            let text = match &asked.record {
                Some((record, value)) => format!("publish this record, then prove it:\n{record} TXT {value}"),
                None => format!("a code was sent to {}; prove it with --code", asked.name),
            };
            let record = asked.record.as_ref();
            let record = record.map(|(name, value)| json!({ "name": name, "type": "TXT", "value": value }));
            Ok(CommandOutcome::yes(json!({ "kind": asked.kind, "name": asked.name, "record": record }), text))
        }
        SendersCommand::Prove { tenant, name, code, server } => {
            let (control, origin) = (context.control()?, context.origin());
            let verdict =
                sender::verify(control, &origin, *tenant, name.clone(), code.clone(), *server).await?;
            Ok(match verdict {
                ProofResult::Proved => {
                    CommandOutcome::yes(json!({ "proved": true }), format!("{name} is proved"))
                }
                ProofResult::NotProved(why) => {
                    CommandOutcome { yes: false, json: json!({ "proved": false, "reason": why }), text: why }
                }
            })
        }
        SendersCommand::Remove { tenant, name } => {
            let (_, name) = sender::read_name(name)?;
            let removed = sender::remove(client, *tenant, name.clone()).await?;
            let text = if removed {
                format!("the tenant may not send as {name} any more")
            } else {
                format!("the tenant has no sender {name}")
            };
            Ok(CommandOutcome { yes: removed, json: json!({ "name": name, "removed": removed }), text })
        }
    }
}
