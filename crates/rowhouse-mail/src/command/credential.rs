//! `mail credentials`: credentials for SMTP submission.

use rowhouse_module::{CannotRun, CommandContext, CommandOutcome};
use serde_json::json;
use tokio_postgres::Client;

use super::arguments::CredentialsCommand;
use super::table;
use crate::credential;

pub(super) async fn run(
    context: &CommandContext,
    client: &Client,
    command: &CredentialsCommand,
) -> Result<CommandOutcome, CannotRun> {
    match command {
        CredentialsCommand::Create { name, tenant } => {
            let secret = credential::create(client, name, *tenant, &*context.rng).await?;
            let document = json!({ "name": name, "tenant": tenant, "secret": secret.expose() });
            let text = format!("name    {name}\nsecret  {}\nThe secret is not shown again.", secret.expose());
            Ok(CommandOutcome::yes(document, text))
        }
        CredentialsCommand::List => {
            let all = serde_json::to_value(credential::list(client).await?)?;
            let columns = ["name", "tenant", "created_at", "last_used_at", "revoked_at"];
            let text = table(&columns, all.as_array().map(Vec::as_slice).unwrap_or_default());
            Ok(CommandOutcome::yes(json!({ "credentials": all }), text))
        }
        CredentialsCommand::Revoke { name } => {
            let revoked = credential::revoke(client, name).await?;
            let text =
                if revoked { format!("{name} is revoked") } else { format!("no valid credential {name}") };
            Ok(CommandOutcome { yes: revoked, json: json!({ "name": name, "revoked": revoked }), text })
        }
    }
}
