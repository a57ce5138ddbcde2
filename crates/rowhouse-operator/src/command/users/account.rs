//! `users search`, `users suspend` and `users reactivate`.

use clap::Args;
use rowhouse_db::Transaction;
use rowhouse_module::{CannotRun, CommandOutcome};
use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;

use super::super::outcome;
use super::Users;
use crate::flow::account::{self, AccountError, Change};
use crate::flow::operation;
use crate::person;
use crate::store::search::{Filter, UserStatus};
use crate::store::user::{self as store, User};

/// Whom to look for.
#[derive(Debug, Clone, Args)]
pub(crate) struct FilterArgs {
    /// How accounts stand
    #[arg(long, value_parser = UserStatus::NAMES)]
    status: Option<String>,
    /// Members of this tenant, by its id
    #[arg(long)]
    tenant: Option<Uuid>,
    /// Members of this organization, by its id
    #[arg(long)]
    organization: Option<Uuid>,
}

impl FilterArgs {
    pub(crate) fn organization(&self) -> Option<Uuid> {
        self.organization
    }

    pub(crate) fn filter(&self, q: Option<String>) -> Filter {
        let status = self.status.as_deref().and_then(UserStatus::parse);
        Filter { q, status, tenant: self.tenant, organization: self.organization }
    }
}

/// `users search`.
#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// The beginning of an address or number, words of the name, or an id; everybody, if it is not given
    q: Option<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// At most so many, 1000 at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Behind this id: the last one of the page before
    #[arg(long)]
    after: Option<Uuid>,
}

impl Users {
    pub(super) async fn search(&self, as_json: bool, args: SearchArgs) -> Result<CommandOutcome, CannotRun> {
        let filter = args.filter.filter(args.q);
        if let Some(why) = filter.mistake() {
            return Err(CannotRun::because(why));
        }
        let search = async |client: &Client| store::search(client, &filter, args.after, args.limit).await;
        let found = self.control.statement(&self.origin.operation("users.search"), search).await?;
        let text = found.iter().map(line).collect();
        outcome(as_json, true, &json!({ "users": found }), text)
    }

    pub(super) async fn change(
        &self,
        as_json: bool,
        name: &str,
        suspends: bool,
        why: Option<&str>,
    ) -> Result<CommandOutcome, CannotRun> {
        let refused = |why: String| outcome(as_json, false, &json!({ "message": why }), why.clone());
        let user = match person::find(&self.control, &self.origin, name).await? {
            Ok(user) => user,
            Err(why) => return refused(why),
        };
        let change = match Change::read(suspends, why) {
            Ok(change) => change,
            Err(error) => return Err(CannotRun::because(error.to_string())),
        };
        let actor = self.origin.actor.to_string();
        let close = async |tx: &Transaction<'_>| account::change(tx, user, &change, &actor).await;
        match self.control.run_tx(&operation(&self.origin, "users.change_account"), close).await {
            Ok(changed) => {
                let word = if suspends { "suspended" } else { "active" };
                let text = match changed {
                    true => format!("{name} is {word} now"),
                    false => format!("{name} was {word} already"),
                };
                outcome(as_json, true, &json!({ "user_id": user, "status": word, "changed": changed }), text)
            }
            Err(AccountError::Db(error)) => Err(error.into()),
            Err(error) => refused(error.to_string()),
        }
    }
}

fn line(user: &User) -> String {
    let address = user.email.as_deref().or(user.phone.as_deref()).unwrap_or("-");
    let name = user.name.as_deref().unwrap_or_default();
    format!("{}  {:<9}  {address}  {name}\n", user.id, user.status)
}
