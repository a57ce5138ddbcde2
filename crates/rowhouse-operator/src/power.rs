//! What operators may do, beside the permissions within the tree: looked up for each request, and again in the
//! transaction that uses it.

use std::marker::PhantomData;

use aide::OperationInput;
use axum::extract::{Extension, FromRef, FromRequestParts};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use rowhouse_db::{Control, DbError};
use rowhouse_http::LiveCaller;
use rowhouse_http::api::Problem;
use rowhouse_kernel::{Caller, Origin};
use rowhouse_tenancy::permission::{OperatorRole, find_operator_role};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::settings::Assurance;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    /// Finds users, suspends them, starts bulk jobs that take nothing away.
    Help,
    /// Invites and deletes many.
    Everything,
    /// Sees who has acted as whom.
    Inspect,
    /// Acts as a user: a person, never a key.
    Impersonate,
}

impl Power {
    const fn roles(self) -> &'static [OperatorRole] {
        match self {
            Self::Help | Self::Impersonate => &[OperatorRole::SuperAdmin, OperatorRole::Support],
            Self::Everything => &[OperatorRole::SuperAdmin],
            Self::Inspect => &[OperatorRole::SuperAdmin, OperatorRole::Support, OperatorRole::Auditor],
        }
    }

    const fn is_for_keys(self) -> bool {
        !matches!(self, Self::Impersonate)
    }
}

/// Why a caller is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PowerError {
    #[error("this is for operators")]
    Denied,
    #[error("sign in with a second factor first")]
    NeedsAal2,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<PowerError> for Problem {
    fn from(error: PowerError) -> Self {
        match error {
            PowerError::Denied => Self::forbidden("forbidden", error.to_string()),
            PowerError::NeedsAal2 => Self::forbidden("insufficient_aal", error.to_string()),
            PowerError::Db(error) => error.into(),
        }
    }
}

/// Succeeds if the caller has the power now. Who acts as somebody else has none.
pub(crate) async fn require(client: &Client, caller: &Caller, power: Power) -> Result<(), PowerError> {
    if caller.impersonation().is_some() {
        return Err(PowerError::Denied);
    }
    if caller.is_service() && power.is_for_keys() {
        return Ok(());
    }
    let role = find_operator_role(client, caller).await?;
    if role.is_some_and(|role| power.roles().contains(&role)) { Ok(()) } else { Err(PowerError::Denied) }
}

/// Succeeds if the caller has signed in as `wanted` says. A key is no person and has no second factor: what it may do was decided
/// when it was given.
pub(crate) async fn require_assurance(
    client: &Client,
    caller: &Caller,
    wanted: Assurance,
) -> Result<(), PowerError> {
    let Some(user) = caller.user.filter(|_| wanted != Assurance::Aal1) else { return Ok(()) };
    let session = caller.session.map(|session| session.0);
    let sql = "select exists (select from auth.sessions s
               where s.id = $1 and s.user_id = $2 and coalesce(s.aal, 'aal1') <> 'aal1')";
    let row = client.query_typed_one(sql, &[(&session, Type::UUID), (&user.0, Type::UUID)]).await;
    let is_strong: bool = row.and_then(|row| row.try_get(0)).map_err(DbError::from)?;
    if is_strong { Ok(()) } else { Err(PowerError::NeedsAal2) }
}

/// Extractor: a live caller with the power that `P` names. It precedes `Once` and the body.
pub(crate) struct Operating<P>(pub(crate) LiveCaller, pub(crate) PhantomData<fn() -> P>);

/// A power as a type.
pub(crate) trait Asked: 'static {
    const POWER: Power;
}

macro_rules! asked {
    ($($name:ident),+) => {$(
        /// [`Power`] of the same name.
        pub(crate) struct $name;

        impl Asked for $name {
            const POWER: Power = Power::$name;
        }
    )+};
}
asked!(Help, Inspect, Impersonate);

impl<P: Asked, S: Send + Sync> FromRequestParts<S> for Operating<P>
where
    Control: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let caller =
            LiveCaller::from_request_parts(parts, state).await.map_err(IntoResponse::into_response)?;
        let origin = Extension::<Origin>::from_request_parts(parts, state).await;
        let Extension(origin) = origin.map_err(IntoResponse::into_response)?;
        let asking = caller.clone();
        let check = async move |client: &Client| Ok::<_, Problem>(require(client, &asking, P::POWER).await?);
        let control = Control::from_ref(state);
        let checked = control.statement(&origin.operation("operators.require_power"), check).await;
        checked.map_err(IntoResponse::into_response)?;
        Ok(Self(caller, PhantomData))
    }
}

/// It reads nothing of the request's own.
impl<P> OperationInput for Operating<P> {}
