//! Applications: registered by an administrator or by anybody, changed, removed.

use rowhouse_audit::Entry;
use rowhouse_crypto::{OpaqueSecret, sha256_base64url};
use rowhouse_db::Transaction;
use uuid::Uuid;

use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::model::Object;
use crate::oauth::client::{OauthClient, Registration};
use crate::oauth::metadata::{Draft, MetadataError};
use crate::request::Client;
use crate::store::{oauth_client, oauth_consent};

/// Most applications that administrators have registered.
const MOST_MANUAL: i64 = 10_000;

/// Why an application is not shown, registered, changed or removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OauthClientError {
    #[error("Dynamic client registration is not enabled")]
    RegistrationDisabled,
    #[error("OAuth client not found")]
    NotFound,
    #[error("No fields provided for update")]
    NoFields,
    #[error("Cannot regenerate secret for public client")]
    Public,
    #[error("Maximum number of OAuth clients reached")]
    TooMany,
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(OauthClientError);

/// An application with its secret, which is told this once.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) client: OauthClient,
    pub(crate) secret: Option<OpaqueSecret>,
}

/// Registers an application.
pub(crate) async fn register(
    auth: &Auth,
    draft: Draft,
    registration: Registration,
    from: &Client,
) -> Result<Registered, OauthClientError> {
    let most = match registration {
        Registration::Manual => MOST_MANUAL,
        Registration::Dynamic if auth.oauth.allow_dynamic_registration => {
            auth.oauth.max_dynamic_clients.into()
        }
        Registration::Dynamic => return Err(OauthClientError::RegistrationDisabled),
    };
    let client = draft.register(auth.new_id(), registration, auth.now())?;
    let registered = with_secret(auth, client);
    let new = registered.client.clone();
    let work = async move |tx: &Transaction<'_>| {
        let is_full = oauth_client::lock_and_count(tx, registration).await? >= most;
        let has_room =
            !is_full || registration == Registration::Dynamic && oauth_client::evict_unused(tx).await?;
        if !has_room {
            return Err(OauthClientError::TooMany);
        }
        oauth_client::put(tx, &new).await?;
        note(tx, "oauth_client_created", new.id).await
    };
    auth.control.run_tx(&from.operation("auth.create_oauth_client"), work).await?;
    Ok(registered)
}

/// Draws the secret of a confidential client.
fn with_secret(auth: &Auth, client: OauthClient) -> Registered {
    let secret = (!client.is_public()).then(|| OpaqueSecret::generate(&*auth.rng));
    let secret_hash = secret.as_ref().map(|secret| sha256_base64url(secret.expose().as_bytes()));
    Registered { client: OauthClient { secret_hash, ..client }, secret }
}

/// One page, newest first, and the number of all.
pub(crate) async fn list(
    auth: &Auth,
    (limit, offset): (i64, i64),
    from: &Client,
) -> Result<(Vec<OauthClient>, i64), Fault> {
    let list = async move |db: &tokio_postgres::Client| oauth_client::list(db, limit, offset).await;
    auth.control.statement(&from.operation("auth.list_oauth_clients"), list).await
}

pub(crate) async fn find(auth: &Auth, id: Uuid, from: &Client) -> Result<Option<OauthClient>, Fault> {
    let find = async move |db: &tokio_postgres::Client| oauth_client::find(db, id).await;
    auth.control.statement(&from.operation("auth.find_oauth_client"), find).await
}

pub(crate) async fn update(
    auth: &Auth,
    id: Uuid,
    draft: Draft,
    from: &Client,
) -> Result<OauthClient, OauthClientError> {
    let now = auth.now();
    let work = async move |tx: &Transaction<'_>| {
        let found = oauth_client::lock(tx, id).await?.ok_or(OauthClientError::NotFound)?;
        if draft.is_empty() {
            return Err(OauthClientError::NoFields);
        }
        let changed = draft.clone().apply(found, now)?;
        oauth_client::put(tx, &changed).await?;
        note(tx, "oauth_client_updated", id).await?;
        Ok(changed)
    };
    auth.control.run_tx(&from.operation("auth.update_oauth_client"), work).await
}

/// A new secret; the former one is refused from here on.
pub(crate) async fn regenerate_secret(
    auth: &Auth,
    id: Uuid,
    from: &Client,
) -> Result<Registered, OauthClientError> {
    let service = auth.clone();
    let work = async move |tx: &Transaction<'_>| {
        let found = oauth_client::lock(tx, id).await?.ok_or(OauthClientError::NotFound)?;
        if found.is_public() {
            return Err(OauthClientError::Public);
        }
        let renewed = with_secret(&service, OauthClient { updated_at: service.now(), ..found });
        oauth_client::put(tx, &renewed.client).await?;
        note(tx, "oauth_client_secret_regenerated", id).await?;
        Ok(renewed)
    };
    auth.control.run_tx(&from.operation("auth.regenerate_oauth_secret"), work).await
}

/// Removes an application with its consents, codes and sessions.
pub(crate) async fn delete(auth: &Auth, id: Uuid, from: &Client) -> Result<(), OauthClientError> {
    let now = auth.now();
    let work = async move |tx: &Transaction<'_>| {
        if !oauth_client::delete(tx, id, now).await? {
            return Err(OauthClientError::NotFound);
        }
        oauth_consent::end(tx, id, None, now).await?;
        note(tx, "oauth_client_deleted", id).await
    };
    auth.control.run_tx(&from.operation("auth.delete_oauth_client"), work).await
}

async fn note(tx: &Transaction<'_>, action: &str, id: Uuid) -> Result<(), OauthClientError> {
    let (id, details) = (id.to_string(), Object::new());
    let entry =
        Entry { source: "auth", action, target_kind: "oauth_client", target_id: &id, tenant: None, details };
    rowhouse_audit::write(tx, entry).await?;
    Ok(())
}
