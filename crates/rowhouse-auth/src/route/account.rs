//! What a signed-in user does with himself: GET and PUT /user, POST /tenant, POST /logout.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use rowhouse_kernel::TenantId;
use serde::Deserialize;

use super::{session_answer, user_answer};
use crate::flow::account::{self, AccountChange};
use crate::flow::session;
use crate::model::Object;
use crate::policy::Password;
use crate::request::{Body, Client, Params, SignedIn};
use crate::store::session::Scope;
use crate::{Auth, AuthError};

#[derive(Debug, Deserialize)]
pub(super) struct AccountBody {
    email: Option<String>,
    phone: Option<String>,
    password: Option<Password>,
    data: Option<Object>,
}

#[derive(Debug, Deserialize)]
pub(super) struct TenantBody {
    tenant_id: TenantId,
}

#[derive(Debug, Deserialize)]
pub(super) struct LogoutParams {
    scope: Option<String>,
}

pub(super) async fn get(State(auth): State<Auth>, caller: SignedIn) -> Result<Response, AuthError> {
    account::get(&auth, caller).await.map(user_answer)
}

pub(super) async fn put(
    State(auth): State<Auth>,
    caller: SignedIn,
    client: Client,
    Body(body): Body<AccountBody>,
) -> Result<Response, AuthError> {
    if body.phone.is_some_and(|phone| !phone.is_empty()) {
        return Err(AuthError::PhoneDisabled);
    }
    let password = body.password.filter(|password| !password.expose().is_empty());
    if password.is_some() {
        // It costs as much hashing as a sign-in.
        auth.signin_limit.check(client.address)?;
    }
    let change = AccountChange { email: body.email, password, data: body.data };
    account::update(&auth, caller, change).await.map(user_answer)
}

pub(super) async fn post_tenant(
    State(auth): State<Auth>,
    caller: SignedIn,
    client: Client,
    Body(body): Body<TenantBody>,
) -> Result<Response, AuthError> {
    session::switch_tenant(&auth, caller, body.tenant_id, &client).await.map(session_answer)
}

pub(super) async fn post_logout(
    State(auth): State<Auth>,
    caller: SignedIn,
    Params(params): Params<LogoutParams>,
) -> Result<Response, AuthError> {
    let scope = match params.scope.as_deref() {
        None | Some("" | "global") => Scope::Global,
        Some("local") => Scope::Local,
        Some("others") => Scope::Others,
        Some(other) => {
            return Err(AuthError::Validation(format!("Unsupported logout scope {other:?}").into()));
        }
    };
    session::sign_out(&auth, caller, scope).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
