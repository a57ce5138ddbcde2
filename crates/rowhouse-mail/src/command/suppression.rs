//! `mail suppressions`: addresses that get no mail.

use rowhouse_module::{CannotRun, CommandOutcome};
use serde_json::json;
use tokio_postgres::Client;

use super::arguments::SuppressionsCommand;
use super::table;
use crate::suppression;

pub(super) async fn run(client: &Client, command: &SuppressionsCommand) -> Result<CommandOutcome, CannotRun> {
    match command {
        SuppressionsCommand::List => {
            let all = suppression::list(client).await?;
            let text =
                table(&["address", "reason", "list", "tenant", "created_at", "expires_at", "detail"], &all);
            Ok(CommandOutcome::yes(json!({ "suppressions": all }), text))
        }
        SuppressionsCommand::Add { address } => {
            let address = suppression::add(client, address).await?;
            let text = format!("{address} gets no mail any more");
            Ok(CommandOutcome::yes(json!({ "address": address, "suppressed": true }), text))
        }
        SuppressionsCommand::Remove { address, list } => {
            let removed = suppression::remove(client, address, list.as_deref()).await?;
            let text = if removed {
                format!("{address} gets mail again")
            } else {
                format!("{address} was not suppressed")
            };
            Ok(CommandOutcome { yes: removed, json: json!({ "address": address, "removed": removed }), text })
        }
    }
}
