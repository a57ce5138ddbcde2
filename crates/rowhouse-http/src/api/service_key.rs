//! Who may use the admin API so far: holders of the service key.

use aide::OperationInput;
use axum::extract::FromRequestParts;
use http::request::Parts;

use super::Problem;
use crate::Identity;

/// A caller with the service key itself. A user whose role is `service_role` is none: nothing here asks whether the
/// session still stands.
#[derive(Debug, Clone, Copy)]
pub struct ServiceKey;

impl<S: Sync> FromRequestParts<S> for ServiceKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let nobody = || Problem::unauthorized("the service key is needed");
        let identity = parts.extensions.get::<Identity>().ok_or_else(nobody)?;
        let caller = identity.caller().map_err(|_| nobody())?;
        match caller.is_service() && caller.session.is_none() {
            true => Ok(Self),
            false if caller.is_anonymous() => Err(nobody()),
            false => Err(Problem::forbidden("not_admin", "only the service key may do this")),
        }
    }
}

impl OperationInput for ServiceKey {}
