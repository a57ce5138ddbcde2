//! `users create-profile`: the profile of one user. One that exists stays as it is.

use clap::Args;
use rowhouse_db::DbError;
use rowhouse_module::{CannotRun, CommandOutcome};
use serde::Serialize;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::super::outcome;
use super::{ProfileArgs, Users};
use crate::person;
use crate::sync::Maker;

/// `users create-profile`.
#[derive(Debug, Args)]
pub(super) struct CreateProfileArgs {
    /// The user's id or address
    user: String,
    #[command(flatten)]
    profile: ProfileArgs,
}

/// The result, with the names that a sync has.
#[derive(Debug, Default, Serialize)]
struct Created {
    user_id: Option<Uuid>,
    created_profiles: u8,
    failed_creations: u8,
    errors: Vec<String>,
    created_user_ids: Vec<Uuid>,
    /// The profile's role, and whether it is active, as they are now.
    role: Option<String>,
    is_active: Option<bool>,
}

pub(super) async fn run(
    users: &Users,
    as_json: bool,
    args: &CreateProfileArgs,
) -> Result<CommandOutcome, CannotRun> {
    let user = match person::find(&users.control, &users.origin, &args.user).await? {
        Ok(user) => user,
        Err(why) => return refused(as_json, Created::default(), why),
    };
    let profile = args.profile.profile();
    let maker = Maker { control: &users.control, origin: &users.origin, profile: &profile };
    let made = match maker.make(&[user]).await {
        Ok(made) => !made.is_empty(),
        Err(error @ DbError::Refused(_)) => {
            let created = Created { user_id: Some(user), ..Created::default() };
            return refused(as_json, created, error.to_string());
        }
        Err(error) => return Err(error.into()),
    };
    let (role, is_active) = users.profile_of(user).await?;
    let created = Created {
        user_id: Some(user),
        created_profiles: made.into(),
        created_user_ids: if made { vec![user] } else { Vec::new() },
        role: Some(role.clone()),
        is_active: Some(is_active),
        ..Created::default()
    };
    let word = if is_active { "active" } else { "inactive" };
    if made {
        return outcome(as_json, true, &created, format!("{user} has a profile now: {role}, {word}"));
    }
    let text = format!("{user} has a profile already, which stays as it is: {role}, {word}");
    let differs = args.profile.role.as_ref().is_some_and(|wanted| *wanted != role)
        || (args.profile.inactive && is_active);
    match differs {
        true => refused(as_json, created, text),
        false => outcome(as_json, true, &created, text),
    }
}

fn refused(as_json: bool, created: Created, why: String) -> Result<CommandOutcome, CannotRun> {
    let created = Created { failed_creations: 1, errors: vec![why.clone()], ..created };
    outcome(as_json, false, &created, why)
}

impl Users {
    async fn profile_of(&self, user: Uuid) -> Result<(String, bool), CannotRun> {
        let find = async |client: &Client| {
            let sql = "select p.role, p.is_active from tenancy.user_profiles p where p.user_id = $1";
            let row = client.query_typed_opt(sql, &[(&user, Type::UUID)]).await?;
            let read = |row: tokio_postgres::Row| {
                Ok::<_, tokio_postgres::Error>((row.try_get("role")?, row.try_get("is_active")?))
            };
            Ok::<Option<(String, bool)>, DbError>(row.map(read).transpose()?)
        };
        let found = self.control.statement(&self.origin.operation("users.find_profile"), find).await?;
        found.ok_or_else(|| CannotRun::because(format!("the user {user} was deleted meanwhile")))
    }
}
