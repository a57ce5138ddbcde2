//! `auth.flow_state`: sign-ins in progress.

use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::fault::Fault;
use crate::pkce::{Challenge, ChallengeMethod};

/// A sign-in that waits for its code to be exchanged.
#[derive(Debug, Clone)]
pub(crate) struct FlowRow {
    pub(crate) id: Uuid,
    pub(crate) user_id: Option<Uuid>,
    pub(crate) challenge: Option<Challenge>,
    /// The provider, or `email`, `phone`.
    pub(crate) provider: String,
    /// The name of a [`crate::method::Method`].
    pub(crate) method: String,
    pub(crate) issued_at: Option<OffsetDateTime>,
    /// Sealed tokens of the provider.
    pub(crate) provider_access_token: Option<String>,
    pub(crate) provider_refresh_token: Option<String>,
    /// The user to whom an identity is to be linked.
    pub(crate) link_to: Option<Uuid>,
    /// That identity, sealed.
    pub(crate) provider_state: Option<String>,
}

/// A sign-in to begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewFlow<'a> {
    pub(crate) id: Uuid,
    pub(crate) user: Option<Uuid>,
    pub(crate) challenge: Option<&'a Challenge>,
    pub(crate) provider: &'a str,
    pub(crate) method: &'a str,
    /// Where the answer is redirected to.
    pub(crate) referrer: &'a str,
}

/// Stores a sign-in in progress.
pub(crate) async fn insert(client: &Client, new: NewFlow<'_>, now: OffsetDateTime) -> Result<(), Fault> {
    let sql =
        "insert into auth.flow_state (id, user_id, code_challenge_method, code_challenge, provider_type,
                 authentication_method, referrer, created_at, updated_at)
               values ($1, $2, $3::text::auth.code_challenge_method, $4, $5, $6, $7, $8, $8)";
    let challenge = new.challenge;
    client
        .execute_typed(
            sql,
            &[
                (&new.id, Type::UUID),
                (&new.user, Type::UUID),
                (&challenge.map(|challenge| challenge.method.as_str()), Type::TEXT),
                (&challenge.map(|challenge| challenge.text.as_str()), Type::TEXT),
                (&new.provider, Type::TEXT),
                (&new.method, Type::TEXT),
                (&new.referrer, Type::TEXT),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(())
}

/// Gives the flow the digest of its code, and the user who was authenticated. False if there is no such flow.
pub(crate) async fn issue_code(
    client: &Client,
    id: Uuid,
    user: Uuid,
    code_digest: &str,
    now: OffsetDateTime,
) -> Result<bool, Fault> {
    let sql =
        "update auth.flow_state set auth_code = $3, user_id = $2, auth_code_issued_at = $4, updated_at = $4
               where id = $1 and auth_code is null";
    let count = client
        .execute_typed(
            sql,
            &[(&id, Type::UUID), (&user, Type::UUID), (&code_digest, Type::TEXT), (&now, Type::TIMESTAMPTZ)],
        )
        .await?;
    Ok(count == 1)
}

/// The flow of a code, locked: a code is exchanged once.
pub(crate) async fn lock_by_code(client: &Client, code_digest: &str) -> Result<Option<FlowRow>, Fault> {
    let sql = "select id, user_id, code_challenge, code_challenge_method::text, provider_type, authentication_method,
                 auth_code_issued_at, provider_access_token, provider_refresh_token, linking_target_id, provider_state
               from auth.flow_state where auth_code = $1 for update";
    let row = client.query_typed_opt(sql, &[(&code_digest, Type::TEXT)]).await?;
    row.as_ref().map(from_row).transpose()
}

fn from_row(row: &tokio_postgres::Row) -> Result<FlowRow, Fault> {
    let method: Option<String> = row.try_get("code_challenge_method")?;
    let text: Option<String> = row.try_get("code_challenge")?;
    let method = method.as_deref().and_then(ChallengeMethod::parse);
    Ok(FlowRow {
        id: row.try_get("id")?,
        user_id: row.try_get("user_id")?,
        challenge: method.zip(text).map(|(method, text)| Challenge { text, method }),
        provider: row.try_get("provider_type")?,
        method: row.try_get("authentication_method")?,
        issued_at: row.try_get("auth_code_issued_at")?,
        provider_access_token: row.try_get("provider_access_token")?,
        provider_refresh_token: row.try_get("provider_refresh_token")?,
        link_to: row.try_get("linking_target_id")?,
        provider_state: row.try_get("provider_state")?,
    })
}

/// Ends a flow; false if it has ended.
pub(crate) async fn delete(client: &Client, id: Uuid) -> Result<bool, Fault> {
    let count =
        client.execute_typed("delete from auth.flow_state where id = $1", &[(&id, Type::UUID)]).await?;
    Ok(count == 1)
}
