//! A permission that is asked for before the stored answer of a repeated request is given.

use std::marker::PhantomData;

use aide::OperationInput;
use axum::extract::{Extension, FromRef, FromRequestParts};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use rowhouse_db::Control;
use rowhouse_http::LiveCaller;
use rowhouse_http::api::{Problem, Segment};
use rowhouse_kernel::{Operation, Origin};
use tokio_postgres::Client;
use uuid::Uuid;

use super::place::{Organizations, Place};
use crate::error::TenancyError;
use crate::flow::{member, product};
use crate::permission::{Permission, Scope, require};
use crate::store::status::Step;

/// Extractor: a live caller who has the permission that `A` asks for, in what the path's first parameter names. It
/// precedes `Once`: who has been demoted since gets no stored answer. The transaction of the change asks again.
pub(super) struct May<A>(pub(super) LiveCaller, pub(super) PhantomData<fn() -> A>);

/// What a route asks for.
pub(super) trait Asked: 'static {
    fn scope(
        client: &Client,
        id: Uuid,
    ) -> impl Future<Output = Result<(Scope, Permission), TenancyError>> + Send;
}

impl<A: Asked, S: Send + Sync> FromRequestParts<S> for May<A>
where
    Control: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let caller =
            LiveCaller::from_request_parts(parts, state).await.map_err(IntoResponse::into_response)?;
        let segment = Segment::<Uuid>::from_request_parts(parts, state).await;
        let Segment(id) = segment.map_err(IntoResponse::into_response)?;
        let user = caller.clone();
        let check = async move |client: &Client| {
            let (scope, permission) = A::scope(client, id).await?;
            Ok::<_, Problem>(require(client, &user, scope, permission).await?)
        };
        let operation = operation(parts, state).await?;
        let checked = Control::from_ref(state).statement(&operation, check).await;
        checked.map_err(IntoResponse::into_response)?;
        Ok(Self(caller, PhantomData))
    }
}

/// Extractor: a live caller who administers the products of the installation.
pub(super) struct ProductAdministrator(pub(super) LiveCaller);

impl<S: Send + Sync> FromRequestParts<S> for ProductAdministrator
where
    Control: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let caller =
            LiveCaller::from_request_parts(parts, state).await.map_err(IntoResponse::into_response)?;
        let user = caller.clone();
        let check = async move |client: &Client| {
            Ok::<_, Problem>(product::require_administration(client, &user).await?)
        };
        let operation = operation(parts, state).await?;
        let checked = Control::from_ref(state).statement(&operation, check).await;
        checked.map_err(IntoResponse::into_response)?;
        Ok(Self(caller))
    }
}

impl OperationInput for ProductAdministrator {}

async fn operation<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Operation, Response> {
    let origin = Extension::<Origin>::from_request_parts(parts, state).await;
    let Extension(origin) = origin.map_err(IntoResponse::into_response)?;
    Ok(origin.operation("tenancy.require_permission"))
}

/// The path's parameters are described by the handler's own extractor.
impl<A> OperationInput for May<A> {}

/// Changes an organization or a tenant.
pub(super) struct Update<P>(PhantomData<P>);

impl<P: Place> Asked for Update<P> {
    async fn scope(_: &Client, id: Uuid) -> Result<(Scope, Permission), TenancyError> {
        Ok((P::scope(id), P::UPDATE))
    }
}

/// Adds a member.
pub(super) struct Add<P>(PhantomData<P>);

impl<P: Place> Asked for Add<P> {
    async fn scope(_: &Client, id: Uuid) -> Result<(Scope, Permission), TenancyError> {
        Ok(member::asked_for_adding(P::scope(id)))
    }
}

macro_rules! in_organization {
    ($($(#[$doc:meta])+ $name:ident = $permission:ident),+ $(,)?) => {$(
        $(#[$doc])+
        pub(super) struct $name;

        impl Asked for $name {
            async fn scope(_: &Client, id: Uuid) -> Result<(Scope, Permission), TenancyError> {
                Ok((Organizations::scope(id), Permission::$permission))
            }
        }
    )+};
}

in_organization! {
    /// Makes a tenant.
    CreateTenant = TenantCreate,
    /// Invites somebody.
    Invite = MembersInvite,
    /// Makes keys of services.
    ModifyKeys = PermissionsModify,
    /// Makes and changes roles.
    ModifyRoles = PermissionsModify,
}

/// Takes a step in the life of an organization or a tenant.
pub(super) struct Take<P, S>(PhantomData<(P, S)>);

/// A step without its details.
pub(super) trait Named: 'static {
    const STEP: Step;
}

macro_rules! steps {
    ($($name:ident = $step:expr),+ $(,)?) => {$(
        pub(super) struct $name;

        impl Named for $name {
            const STEP: Step = $step;
        }
    )+};
}

steps! {
    Suspend = Step::Suspend,
    Reactivate = Step::Reactivate,
    Cancel = Step::Cancel,
    Restore = Step::Restore(std::time::Duration::ZERO),
}

impl<P: Place, S: Named> Asked for Take<P, S> {
    async fn scope(client: &Client, id: Uuid) -> Result<(Scope, Permission), TenancyError> {
        P::asked_for(client, id, S::STEP).await
    }
}
