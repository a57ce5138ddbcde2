//! What a user has allowed applications: shown, and taken back.

use rowhouse_db::Transaction;
use uuid::Uuid;

use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::live::{NotLive, require_live};
use crate::request::{Client, SignedIn};
use crate::store::oauth_consent::{self, Consent};
use crate::store::user;

/// Most that are shown.
const MOST_SHOWN: i64 = 1000;

/// Why grants are not shown or taken back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GrantError {
    #[error(transparent)]
    NotLive(#[from] NotLive),
    #[error("No active grant found for this client")]
    NotFound,
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(GrantError);

pub(crate) async fn list(auth: &Auth, caller: SignedIn, client: &Client) -> Result<Vec<Consent>, GrantError> {
    let now = auth.now();
    let work = async move |tx: &Transaction<'_>| {
        let session = caller.session.map(|session| session.0);
        require_live(user::find_live(tx, caller.user.0, session).await?, caller, now)?;
        Ok(oauth_consent::list(tx, caller.user.0, MOST_SHOWN).await?)
    };
    auth.control.run_tx(&client.operation("auth.list_oauth_grants"), work).await
}

/// Ends the application's sessions of the user, too.
pub(crate) async fn revoke(
    auth: &Auth,
    caller: SignedIn,
    application: Uuid,
    client: &Client,
) -> Result<(), GrantError> {
    let now = auth.now();
    let work = async move |tx: &Transaction<'_>| {
        let session = caller.session.map(|session| session.0);
        require_live(user::find_live(tx, caller.user.0, session).await?, caller, now)?;
        oauth_consent::find(tx, caller.user.0, application).await?.ok_or(GrantError::NotFound)?;
        Ok(oauth_consent::end(tx, application, Some(caller.user.0), now).await?)
    };
    auth.control.run_tx(&client.operation("auth.revoke_oauth_grant"), work).await
}
