//! `POST /admin/v1/bootstrap`. While no token is open, the path answers like one that does not exist.

use aide::OperationInput;
use axum::Json;
use axum::extract::{Extension, FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use rowhouse_db::Transaction;
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::post_with;
use rowhouse_http::api::{Body, Problem, Routes, operation};
use rowhouse_kernel::Origin;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::OperatorAdmin;
use crate::bootstrap::{self, BootstrapError};
use crate::flow;

impl From<BootstrapError> for Problem {
    fn from(error: BootstrapError) -> Self {
        match error {
            BootstrapError::Closed => closed(),
            BootstrapError::WrongToken => Self::forbidden("wrong_token", error.to_string()),
            BootstrapError::NotConfirmed => Self::forbidden("address_not_confirmed", error.to_string()),
            BootstrapError::NotTheFirst => Self::conflict(error.to_string()),
            BootstrapError::Db(error) => error.into(),
        }
    }
}

/// As for a path that does not exist.
fn closed() -> Problem {
    Problem::not_found("no such path: /admin/v1/bootstrap")
}

/// Extractor: whether there is something to be redeemed, asked before who the caller is.
struct IsOpen;

impl FromRequestParts<OperatorAdmin> for IsOpen {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &OperatorAdmin) -> Result<Self, Response> {
        let origin = Extension::<Origin>::from_request_parts(parts, state).await;
        let Extension(origin) = origin.map_err(IntoResponse::into_response)?;
        let operation = origin.operation("operators.find_bootstrap");
        match bootstrap::open_until(&state.control, &operation).await {
            Ok(Some(_)) => Ok(Self),
            Ok(None) => Err(closed().into_response()),
            Err(error) => Err(Problem::from(error).into_response()),
        }
    }
}

/// It reads nothing of the request.
impl OperationInput for IsOpen {}

/// The path below `/admin/v1/bootstrap`.
pub(crate) fn routes() -> Routes<OperatorAdmin> {
    let redeemed = operation(
        "bootstrapOperator",
        "Become the first operator, with the token of `rowhouse admin bootstrap`; 404 once that is done",
        &[400, 404],
    );
    Routes::default().at("/", post_with(redeem, redeemed))
}

/// Body.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Redemption {
    /// As the command has printed it.
    token: String,
}

/// The caller is an operator now.
#[derive(Serialize, JsonSchema)]
struct Redeemed {
    user_id: Uuid,
    /// `super_admin`.
    role: &'static str,
}

async fn redeem(
    State(operator): State<OperatorAdmin>,
    _: IsOpen,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Body(body): Body<Redemption>,
) -> Result<Json<Redeemed>, Problem> {
    let Some(user) = caller.user.filter(|_| caller.impersonation().is_none()) else {
        return Err(Problem::forbidden(
            "forbidden",
            "an operator is a user: sign in, and send the user's token",
        ));
    };
    let operation = flow::operation(&origin, "operators.redeem_bootstrap");
    let (user, now) = (user.0, operation.now());
    let redeem = async move |tx: &Transaction<'_>| bootstrap::redeem(tx, user, &body.token, now).await;
    operator.control.run_tx(&operation, redeem).await?;
    Ok(Json(Redeemed { user_id: user, role: "super_admin" }))
}
