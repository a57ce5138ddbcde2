//! Who administers flags: the service key, and operators of role super_admin.

use aide::OperationInput;
use axum::extract::{Extension, FromRequestParts};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use rowhouse_http::LiveCaller;
use rowhouse_http::api::Problem;
use rowhouse_kernel::Origin;
use rowhouse_tenancy::permission::{OperatorRole, find_operator_role};
use tokio_postgres::Client;

use super::FlagAdmin;

/// Extractor: the caller may do everything, as looked up at this moment.
pub(super) struct SuperAdmin(());

impl FromRequestParts<FlagAdmin> for SuperAdmin {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, admin: &FlagAdmin) -> Result<Self, Response> {
        let caller =
            LiveCaller::from_request_parts(parts, admin).await.map_err(IntoResponse::into_response)?;
        if caller.is_service() {
            return Ok(Self(()));
        }
        let origin = Extension::<Origin>::from_request_parts(parts, admin).await;
        let Extension(origin) = origin.map_err(IntoResponse::into_response)?;
        let find = async move |client: &Client| find_operator_role(client, &caller).await;
        let role = admin.control.statement(&origin.operation("flags.find_operator_role"), find).await;
        match role.map_err(|error| Problem::from(error).into_response())? {
            Some(OperatorRole::SuperAdmin) => Ok(Self(())),
            _ => Err(refusal().into_response()),
        }
    }
}

fn refusal() -> Problem {
    Problem::forbidden("forbidden", "this is for super administrators and the service key")
}

/// Every operation names the bearer token as its security scheme.
impl OperationInput for SuperAdmin {}
