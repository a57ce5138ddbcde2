//! Routes of the signed-in user: GET and PUT /user, POST /tenant, POST /logout.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use rowhouse_kernel::{Secret, TenantId};
use serde::Deserialize;

use super::{phone, session_answer, user_answer};
use crate::Auth;
use crate::flow::account::{self, AccountChange, AccountError};
use crate::flow::oauth_profile;
use crate::flow::one_time::Return;
use crate::flow::session::{self, SessionError};
use crate::model::Object;
use crate::oauth_scope::Scopes;
use crate::pkce::Challenge;
use crate::policy::Password;
use crate::refusal::Refusal;
use crate::request::{AnyOwn, AnySignedIn, Body, Client, Params, RedirectTo, SignedIn};
use crate::store::session::Scope;

#[derive(Debug, Deserialize)]
pub(super) struct AccountBody {
    email: Option<String>,
    phone: Option<String>,
    password: Option<Password>,
    data: Option<Object>,
    app_metadata: Option<Object>,
    nonce: Option<String>,
    channel: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct TenantBody {
    tenant_id: TenantId,
}

#[derive(Debug, Deserialize)]
pub(super) struct LogoutParams {
    scope: Option<String>,
}

impl From<AccountError> for Refusal {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::NotLive(error) => error.into(),
            AccountError::Email(error) => error.into(),
            AccountError::Password(error) => error.into(),
            AccountError::NeedsAal2 => {
                Self::new(StatusCode::UNAUTHORIZED, "insufficient_aal", error.to_string())
            }
            AccountError::SamePassword => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "same_password", error.to_string())
            }
            AccountError::PasswordWithoutAddress => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", error.to_string())
            }
            AccountError::Reauthentication(error) => error.into(),
            AccountError::Letters(error) => error.into(),
            AccountError::Code(error) => error.into(),
            AccountError::Metadata(error) => error.into(),
            AccountError::Write(error) => error.into(),
            AccountError::Fault(fault) => fault.into(),
        }
    }
}

impl From<SessionError> for Refusal {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::NotLive(error) => error.into(),
            SessionError::NotAMember | SessionError::OneTenant => {
                Self::new(StatusCode::FORBIDDEN, "tenant_access_denied", error.to_string())
            }
            SessionError::Fault(fault) => fault.into(),
        }
    }
}

pub(super) async fn get(
    State(auth): State<Auth>,
    AnySignedIn { caller, scope }: AnySignedIn,
    client: Client,
) -> Result<Response, Refusal> {
    let user = account::get(&auth, caller, &client).await?;
    Ok(user_answer(match scope {
        Some(scope) => oauth_profile::limited(user, &Scopes::of_stored(&scope)),
        None => user,
    }))
}

pub(super) async fn put(
    State(auth): State<Auth>,
    caller: SignedIn,
    client: Client,
    RedirectTo(redirect_to): RedirectTo,
    Body(body): Body<AccountBody>,
) -> Result<Response, Refusal> {
    if body.app_metadata.is_some() {
        let message = "Updating app_metadata requires admin privileges";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "not_admin", message));
    }
    let phone = phone::wanted(&auth, body.phone.as_deref(), body.channel.as_deref())?;
    let password = body.password.filter(|password| !password.expose().is_empty());
    // A password costs as much hashing as a sign-in; an address or number can be probed for being taken.
    match password.is_some() || body.email.is_some() || phone.is_some() {
        true => auth.signin_limit.check(&client).await?,
        false => auth.refresh_limit.check(&client).await?,
    }
    auth.refresh_limit.check_user(caller.user, &client).await?;
    let challenge = Challenge::read(body.code_challenge.as_deref(), body.code_challenge_method.as_deref())?;
    let change = AccountChange {
        email: body.email,
        phone,
        password,
        data: body.data,
        nonce: body.nonce.filter(|nonce| !nonce.is_empty()).map(Secret::new),
        back: Return { challenge, redirect_to },
    };
    Ok(user_answer(account::update(&auth, caller, change, &client).await?))
}

pub(super) async fn post_tenant(
    State(auth): State<Auth>,
    AnyOwn { caller, .. }: AnyOwn,
    client: Client,
    Body(body): Body<TenantBody>,
) -> Result<Response, Refusal> {
    Ok(session_answer(session::switch_tenant(&auth, caller, body.tenant_id, &client).await?))
}

pub(super) async fn post_logout(
    State(auth): State<Auth>,
    AnyOwn { caller, is_impersonated }: AnyOwn,
    client: Client,
    Params(params): Params<LogoutParams>,
) -> Result<Response, Refusal> {
    let scope = match params.scope.as_deref() {
        // An operator does not end the sessions of the user as whom they act.
        None | Some("" | "global" | "local" | "others") if is_impersonated => Scope::Local,
        None | Some("" | "global") => Scope::Global,
        Some("local") => Scope::Local,
        Some("others") => Scope::Others,
        Some(other) => {
            return Err(Refusal::validation(format!("Unsupported logout scope {other:?}")));
        }
    };
    session::sign_out(&auth, caller, scope, &client).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
