//! The permission to change a tenant, checked before the stored answer of a repeated request is given.

use aide::OperationInput;
use axum::extract::{Extension, FromRef, FromRequestParts};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use rowhouse_db::Control;
use rowhouse_http::LiveCaller;
use rowhouse_http::api::{Problem, Segment};
use rowhouse_kernel::{Origin, TenantId};
use tokio_postgres::Client;
use uuid::Uuid;

use super::TenancyAdmin;
use crate::permission::{Permission, Scope, require};

/// Extractor: a live caller who may change the tenant of the path now. It precedes `Once`: a caller who has been demoted
/// since gets no stored answer. The transaction of the change checks again.
pub(super) struct MayUpdate(pub(super) LiveCaller);

impl FromRequestParts<TenancyAdmin> for MayUpdate {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &TenancyAdmin) -> Result<Self, Response> {
        let caller =
            LiveCaller::from_request_parts(parts, state).await.map_err(IntoResponse::into_response)?;
        let refused = |problem: Problem| problem.into_response();
        let Segment(tenant) = Segment::<Uuid>::from_request_parts(parts, state).await.map_err(refused)?;
        let origin = Extension::<Origin>::from_request_parts(parts, state).await;
        let Extension(origin) = origin.map_err(IntoResponse::into_response)?;
        let asking = caller.clone();
        let check = async move |client: &Client| {
            let scope = Scope::Tenant(TenantId(tenant));
            Ok::<_, Problem>(require(client, &asking, scope, Permission::TenantUpdate).await?)
        };
        let control = Control::from_ref(state);
        control.statement(&origin.operation("tenancy.require_permission"), check).await.map_err(refused)?;
        Ok(Self(caller))
    }
}

/// The path's parameter is described by the handler's own extractor.
impl OperationInput for MayUpdate {}
