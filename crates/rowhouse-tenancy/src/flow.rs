//! What is decided about organizations, tenants, members and roles. Each function runs in its caller's transaction, asks
//! for the permission first, and records what it changed. Leaves HTTP to `route`, and the command line to `command`.

pub(crate) mod api_key;
pub(crate) mod branding;
pub(crate) mod entitlement;
pub(crate) mod erasure;
pub(crate) mod input;
pub(crate) mod invitation;
pub(crate) mod join;
pub(crate) mod member;
pub(crate) mod organization;
pub(crate) mod plan;
pub(crate) mod product;
pub(crate) mod quota;
pub(crate) mod record;
pub(crate) mod role;
pub(crate) mod setting;
pub(crate) mod tenant;
pub(crate) mod tenant_product;

use rowhouse_kernel::Caller;
use tokio_postgres::Client;

use crate::error::TenancyError;
use crate::permission::{Permission, PermissionError, Scope, require};
use crate::store::search::Own;

/// Whether the caller has the permission in every organization: operators and the service key.
pub(crate) async fn may_everywhere(
    client: &Client,
    caller: &Caller,
    permission: Permission,
) -> Result<bool, TenancyError> {
    match require(client, caller, Scope::Installation, permission).await {
        Ok(()) => Ok(true),
        Err(PermissionError::Denied(_) | PermissionError::OperatorsOnly) => Ok(false),
        Err(PermissionError::Db(error)) => Err(TenancyError::Db(error)),
    }
}

/// The caller as a user whose own things are shown; `None` for who sees everything.
pub(crate) async fn narrowed_to(
    client: &Client,
    caller: &Caller,
    permission: Permission,
) -> Result<Option<Own>, TenancyError> {
    if may_everywhere(client, caller, permission).await? {
        return Ok(None);
    }
    let user = caller.user.ok_or(TenancyError::OperatorsOnly)?.0;
    Ok(Some(Own { user, session: caller.session.map(|session| session.0) }))
}
