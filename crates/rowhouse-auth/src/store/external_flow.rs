//! `auth.flow_state` between the redirect to a provider and its callback.

use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::fault::Fault;
use crate::method::Method;
use crate::pkce::Challenge;

/// A redirect to a provider.
#[derive(Debug)]
pub(crate) struct NewExternalFlow {
    pub(crate) id: Uuid,
    pub(crate) state_digest: String,
    /// The browser that may come back; none before one has opened the URL of a link.
    pub(crate) browser_digest: Option<String>,
    pub(crate) provider: String,
    pub(crate) challenge: Option<Challenge>,
    /// Where the answer is redirected to.
    pub(crate) referrer: String,
    /// The user who links an identity.
    pub(crate) link_to: Option<Uuid>,
    /// Nonce and code verifier, sealed.
    pub(crate) provider_state: String,
}

/// What the callback finds.
#[derive(Debug, Clone)]
pub(crate) struct ExternalFlow {
    pub(crate) id: Uuid,
    pub(crate) provider: String,
    /// Whether the client exchanges a code; else it gets the session itself.
    pub(crate) has_challenge: bool,
    pub(crate) referrer: String,
    pub(crate) link_to: Option<Uuid>,
    pub(crate) provider_state: String,
    pub(crate) created_at: OffsetDateTime,
}

pub(crate) async fn insert(client: &Client, new: &NewExternalFlow, now: OffsetDateTime) -> Result<(), Fault> {
    let sql = "insert into auth.flow_state (id, state_digest, browser_digest, provider_type, authentication_method, 
                 code_challenge_method, code_challenge, referrer, linking_target_id, provider_state, created_at, updated_at)
               values ($1, $2, $3, $4, $5, $6::text::auth.code_challenge_method, $7, $8, $9, $10, $11, $11)";
    let challenge = new.challenge.as_ref();
    client
        .execute_typed(
            sql,
            &[
                (&new.id, Type::UUID),
                (&new.state_digest, Type::TEXT),
                (&new.browser_digest, Type::TEXT),
                (&new.provider, Type::TEXT),
                (&Method::Oauth.as_str(), Type::TEXT),
                (&challenge.map(|challenge| challenge.method.as_str()), Type::TEXT),
                (&challenge.map(|challenge| challenge.text.as_str()), Type::TEXT),
                (&new.referrer, Type::TEXT),
                (&new.link_to, Type::UUID),
                (&new.provider_state, Type::TEXT),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(())
}

/// A link that waits for a browser.
#[derive(Debug, Clone)]
pub(crate) struct WaitingLink {
    pub(crate) id: Uuid,
    pub(crate) provider: String,
    pub(crate) has_challenge: bool,
    pub(crate) provider_state: String,
    /// Address or number of the account; empty for an anonymous user.
    pub(crate) account: String,
    pub(crate) created_at: OffsetDateTime,
}

/// The link of a state that no browser has yet.
pub(crate) async fn find_link(client: &Client, state_digest: &str) -> Result<Option<WaitingLink>, Fault> {
    let sql = "select f.id, f.provider_type, f.code_challenge is not null as has_challenge,
                 coalesce(f.provider_state, '') as provider_state, f.created_at,
                 coalesce(nullif(u.email, ''), u.phone, '') as account
               from auth.flow_state f join auth.users u on u.id = f.linking_target_id
               where f.state_digest = $1 and f.browser_digest is null";
    let row = client.query_typed_opt(sql, &[(&state_digest, Type::TEXT)]).await?;
    row.map(|row| {
        Ok(WaitingLink {
            id: row.try_get("id")?,
            provider: row.try_get("provider_type")?,
            has_challenge: row.try_get("has_challenge")?,
            provider_state: row.try_get("provider_state")?,
            account: row.try_get("account")?,
            created_at: row.try_get("created_at")?,
        })
    })
    .transpose()
}

/// Gives a link to a browser; false if another one has it.
pub(crate) async fn give(client: &Client, id: Uuid, browser_digest: &str) -> Result<bool, Fault> {
    let sql = "update auth.flow_state set browser_digest = $2 where id = $1 and browser_digest is null";
    let count = client.execute_typed(sql, &[(&id, Type::UUID), (&browser_digest, Type::TEXT)]).await?;
    Ok(count == 1)
}

/// The flow of a state in this browser, which serves once: of several that come at a time, the first one gets it.
pub(crate) async fn take(
    client: &Client,
    state_digest: &str,
    browser_digest: &str,
) -> Result<Option<ExternalFlow>, Fault> {
    let sql = "with flow as (
                 select id, provider_type, code_challenge is not null as has_challenge, coalesce(referrer, '') as referrer,
                   linking_target_id, coalesce(provider_state, '') as provider_state, created_at
                 from auth.flow_state where state_digest = $1 and browser_digest = $2 for update
               ), taken as (
                 update auth.flow_state set state_digest = null, provider_state = null where id in (select id from flow)
               )
               select * from flow";
    let row =
        client.query_typed_opt(sql, &[(&state_digest, Type::TEXT), (&browser_digest, Type::TEXT)]).await?;
    row.map(|row| {
        Ok(ExternalFlow {
            id: row.try_get("id")?,
            provider: row.try_get("provider_type")?,
            has_challenge: row.try_get("has_challenge")?,
            referrer: row.try_get("referrer")?,
            link_to: row.try_get("linking_target_id")?,
            provider_state: row.try_get("provider_state")?,
            created_at: row.try_get("created_at")?,
        })
    })
    .transpose()
}

/// Keeps the identity to be linked, sealed, until the code is exchanged.
pub(crate) async fn keep_profile(client: &Client, id: Uuid, profile: &str) -> Result<(), Fault> {
    let sql = "update auth.flow_state set provider_state = $2 where id = $1";
    client.execute_typed(sql, &[(&id, Type::UUID), (&profile, Type::TEXT)]).await?;
    Ok(())
}

/// Keeps the provider's tokens, sealed, until the code is exchanged.
pub(crate) async fn keep_tokens(
    client: &Client,
    id: Uuid,
    access_token: &str,
    refresh_token: Option<&str>,
) -> Result<(), Fault> {
    let sql =
        "update auth.flow_state set provider_access_token = $2, provider_refresh_token = $3 where id = $1";
    client
        .execute_typed(sql, &[(&id, Type::UUID), (&access_token, Type::TEXT), (&refresh_token, Type::TEXT)])
        .await?;
    Ok(())
}
