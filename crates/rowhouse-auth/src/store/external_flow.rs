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
    let sql = "insert into auth.flow_state (id, state_digest, provider_type, authentication_method, code_challenge_method,
                 code_challenge, referrer, linking_target_id, provider_state, created_at, updated_at)
               values ($1, $2, $3, $4, $5::text::auth.code_challenge_method, $6, $7, $8, $9, $10, $10)";
    let challenge = new.challenge.as_ref();
    client
        .execute_typed(
            sql,
            &[
                (&new.id, Type::UUID),
                (&new.state_digest, Type::TEXT),
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

/// The flow of a state, which serves once: of several that come at a time, the first one gets it.
pub(crate) async fn take(client: &Client, state_digest: &str) -> Result<Option<ExternalFlow>, Fault> {
    let sql = "with flow as (
                 select id, provider_type, code_challenge is not null as has_challenge, coalesce(referrer, '') as referrer,
                   linking_target_id, coalesce(provider_state, '') as provider_state, created_at
                 from auth.flow_state where state_digest = $1 for update
               ), taken as (
                 update auth.flow_state set state_digest = null, provider_state = null where id in (select id from flow)
               )
               select * from flow";
    let row = client.query_typed_opt(sql, &[(&state_digest, Type::TEXT)]).await?;
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
