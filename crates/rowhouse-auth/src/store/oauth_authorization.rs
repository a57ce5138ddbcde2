//! `auth.oauth_authorizations`: requests of applications, from the question to the exchange of the code.

use time::OffsetDateTime;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::fault::Fault;
use crate::oauth::request::AuthorizationRequest;
use crate::oauth_scope::Scopes;
use crate::pkce::{Challenge, ChallengeMethod};

/// A request that was stored.
#[derive(Debug)]
pub(crate) struct Authorization {
    pub(crate) id: Uuid,
    /// Its name on the consent page.
    pub(crate) name: String,
    pub(crate) client: Uuid,
    /// Who looked at it first.
    pub(crate) user: Option<Uuid>,
    pub(crate) redirect_uri: String,
    pub(crate) scopes: Scopes,
    pub(crate) state: Option<String>,
    pub(crate) resource: Option<String>,
    pub(crate) challenge: Option<Challenge>,
    pub(crate) nonce: Option<String>,
    pub(crate) is_pending: bool,
    pub(crate) is_approved: bool,
    pub(crate) expires_at: OffsetDateTime,
    pub(crate) authenticated_at: Option<OffsetDateTime>,
    /// What the user who agreed had verified.
    pub(crate) factor: Option<Uuid>,
    /// Set once its code was exchanged.
    pub(crate) consumed_at: Option<OffsetDateTime>,
    /// What the code gave.
    pub(crate) session: Option<Uuid>,
}

/// A request to store.
#[derive(Debug)]
pub(crate) struct NewAuthorization<'a> {
    pub(crate) id: Uuid,
    pub(crate) name: &'a str,
    pub(crate) client: Uuid,
    pub(crate) redirect_uri: &'a str,
    pub(crate) request: &'a AuthorizationRequest,
    /// Digest of the cookie of the browser that asks.
    pub(crate) browser: &'a str,
    pub(crate) expires_at: OffsetDateTime,
}

macro_rules! columns {
    () => {
        "id, authorization_id, client_id, user_id, redirect_uri, scope, state, resource, code_challenge,
         code_challenge_method::text, nonce, status::text, expires_at, authenticated_at, factor_id, consumed_at,
         session_id"
    };
}

impl Authorization {
    fn from_row(row: &Row) -> Result<Self, Fault> {
        let (text, method): (Option<String>, Option<String>) =
            (row.try_get("code_challenge")?, row.try_get("code_challenge_method")?);
        let method = method.as_deref().and_then(ChallengeMethod::parse);
        let (scopes, status): (String, String) = (row.try_get("scope")?, row.try_get("status")?);
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("authorization_id")?,
            client: row.try_get("client_id")?,
            user: row.try_get("user_id")?,
            redirect_uri: row.try_get("redirect_uri")?,
            scopes: Scopes::of_stored(&scopes),
            state: row.try_get("state")?,
            resource: row.try_get("resource")?,
            challenge: text.zip(method).map(|(text, method)| Challenge { text, method }),
            nonce: row.try_get("nonce")?,
            is_pending: status == "pending",
            is_approved: status == "approved",
            expires_at: row.try_get("expires_at")?,
            authenticated_at: row.try_get("authenticated_at")?,
            factor: row.try_get("factor_id")?,
            consumed_at: row.try_get("consumed_at")?,
            session: row.try_get("session_id")?,
        })
    }
}

/// Stores a request.
pub(crate) async fn insert(
    client: &Client,
    new: NewAuthorization<'_>,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = "insert into auth.oauth_authorizations (id, authorization_id, client_id, redirect_uri, scope, state, resource,
                 code_challenge, code_challenge_method, nonce, created_at, expires_at, browser)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::auth.code_challenge_method, $10, $11, $12, $13)";
    let (request, scope) = (new.request, new.request.scopes.to_string());
    let parameters: [(&(dyn ToSql + Sync), Type); 13] = [
        (&new.id, Type::UUID),
        (&new.name, Type::TEXT),
        (&new.client, Type::UUID),
        (&new.redirect_uri, Type::TEXT),
        (&scope, Type::TEXT),
        (&request.state, Type::TEXT),
        (&request.resource, Type::TEXT),
        (&request.challenge.text, Type::TEXT),
        (&request.challenge.method.as_str(), Type::TEXT),
        (&request.nonce, Type::TEXT),
        (&now, Type::TIMESTAMPTZ),
        (&new.expires_at, Type::TIMESTAMPTZ),
        (&new.browser, Type::TEXT),
    ];
    client.execute_typed(sql, &parameters).await?;
    Ok(())
}

/// The request of this name, locked: it is decided once.
pub(crate) async fn lock(client: &Client, name: &str) -> Result<Option<Authorization>, Fault> {
    let sql = concat!(
        "select ",
        columns!(),
        " from auth.oauth_authorizations where authorization_id = $1 for update"
    );
    let row = client.query_typed_opt(sql, &[(&name, Type::TEXT)]).await?;
    row.as_ref().map(Authorization::from_row).transpose()
}

/// The request that was answered with the code of this digest, locked: a code is exchanged once.
pub(crate) async fn lock_by_code(client: &Client, digest: &str) -> Result<Option<Authorization>, Fault> {
    let sql = concat!(
        "select ",
        columns!(),
        " from auth.oauth_authorizations where authorization_code = $1 for update"
    );
    let row = client.query_typed_opt(sql, &[(&digest, Type::TEXT)]).await?;
    row.as_ref().map(Authorization::from_row).transpose()
}

/// Notes who decides about a request.
pub(crate) async fn claim(client: &Client, id: Uuid, user: Uuid) -> Result<(), Fault> {
    let sql = "update auth.oauth_authorizations set user_id = $2 where id = $1";
    client.execute_typed(sql, &[(&id, Type::UUID), (&user, Type::UUID)]).await?;
    Ok(())
}

/// How the user who agrees is signed in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignIn {
    pub(crate) session: Uuid,
    pub(crate) at: OffsetDateTime,
    pub(crate) factor: Option<Uuid>,
}

/// The sign-in of a session.
pub(crate) async fn get_sign_in(client: &Client, session: Uuid) -> Result<SignIn, Fault> {
    let sql = "select coalesce(created_at, now()), factor_id from auth.sessions where id = $1";
    let row = client.query_typed_one(sql, &[(&session, Type::UUID)]).await?;
    Ok(SignIn { session, at: row.try_get(0)?, factor: row.try_get(1)? })
}

/// Gives a request its code.
pub(crate) async fn approve(
    client: &Client,
    id: Uuid,
    digest: &str,
    sign_in: SignIn,
    (now, expires_at): (OffsetDateTime, OffsetDateTime),
) -> Result<(), Fault> {
    let sql = "update auth.oauth_authorizations set status = 'approved', authorization_code = $2, authenticated_at = $3,
                 approved_at = $4, expires_at = $5, factor_id = $6, approved_in = $7 where id = $1";
    let parameters: [(&(dyn ToSql + Sync), Type); 7] = [
        (&id, Type::UUID),
        (&digest, Type::TEXT),
        (&sign_in.at, Type::TIMESTAMPTZ),
        (&now, Type::TIMESTAMPTZ),
        (&expires_at, Type::TIMESTAMPTZ),
        (&sign_in.factor, Type::UUID),
        (&sign_in.session, Type::UUID),
    ];
    client.execute_typed(sql, &parameters).await?;
    Ok(())
}

/// Notes that the user has refused.
pub(crate) async fn deny(client: &Client, id: Uuid) -> Result<(), Fault> {
    let sql = "update auth.oauth_authorizations set status = 'denied' where id = $1";
    client.execute_typed(sql, &[(&id, Type::UUID)]).await?;
    Ok(())
}

/// Notes which session a code gave, and with the session where it was asked for and agreed to.
pub(crate) async fn consume(
    client: &Client,
    id: Uuid,
    session: Uuid,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = "with used as (
                 update auth.oauth_authorizations set consumed_at = $3, session_id = $2 where id = $1
                 returning browser, approved_in)
               update auth.sessions s set browser = used.browser, approved_in = used.approved_in from used where s.id = $2";
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&id, Type::UUID), (&session, Type::UUID), (&now, Type::TIMESTAMPTZ)];
    client.execute_typed(sql, &parameters).await?;
    Ok(())
}
