//! Whose domains a path names, and the permission that is asked for before the stored answer of a repeated request is given.

use std::marker::PhantomData;

use aide::OperationInput;
use axum::extract::{Extension, FromRef, FromRequestParts};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use rowhouse_db::Control;
use rowhouse_http::LiveCaller;
use rowhouse_http::api::{Problem, Segment};
use rowhouse_kernel::{OrganizationId, Origin, TenantId};
use rowhouse_tenancy::permission::require;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::claim::Owner;
use crate::error::DomainError;

/// What the first parameter of a path names.
pub(super) trait Place: Send + Sync + 'static {
    fn owner(id: Uuid) -> Owner;
}

/// Below `/tenants`.
pub(super) struct Tenants;

impl Place for Tenants {
    fn owner(id: Uuid) -> Owner {
        Owner::Tenant(TenantId(id))
    }
}

/// Below `/organizations`.
pub(super) struct Organizations;

impl Place for Organizations {
    fn owner(id: Uuid) -> Owner {
        Owner::Organization(OrganizationId(id))
    }
}

/// Extractor: a live caller who may change what the path's first parameter names. It precedes `Once`: who has been demoted since
/// gets no stored answer. The transaction of the change asks again.
pub(super) struct May<P>(pub(super) LiveCaller, pub(super) PhantomData<fn() -> P>);

impl<P: Place, S: Send + Sync> FromRequestParts<S> for May<P>
where
    Control: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let caller =
            LiveCaller::from_request_parts(parts, state).await.map_err(IntoResponse::into_response)?;
        let refused = |problem: Problem| problem.into_response();
        let Segment(id) = Segment::<Uuid>::from_request_parts(parts, state).await.map_err(refused)?;
        let owner = P::owner(id);
        let origin = Extension::<Origin>::from_request_parts(parts, state).await;
        let Extension(origin) = origin.map_err(IntoResponse::into_response)?;
        let asking = caller.clone();
        let check = async move |client: &Client| {
            require(client, &asking, owner.scope(), owner.update()).await.map_err(DomainError::from)
        };
        let control = Control::from_ref(state);
        let asked = control.statement(&origin.operation("domains.require_permission"), check).await;
        asked.map_err(|error| refused(error.into()))?;
        Ok(Self(caller, PhantomData))
    }
}

/// The path's parameters are described by the handler's own extractor.
impl<P> OperationInput for May<P> {}
