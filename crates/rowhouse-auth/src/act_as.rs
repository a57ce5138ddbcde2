//! A user as the data plane would see him, without a session and without a token: for tools of the operator that show
//! what the user would see. Nothing is written; the flight judges user and tenant as it does for everybody.

use std::sync::Arc;

use rowhouse_db::Control;
use rowhouse_kernel::settings::AuthSettings;
use rowhouse_kernel::{Caller, OrganizationId, TenantId, UserId};
use time::OffsetDateTime;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::AuthError;
use crate::claims::AccessClaims;
use crate::model::User;
use crate::state::issuer;
use crate::store::membership::{self, Membership};
use crate::store::session::SessionRow;
use crate::store::user;

/// Who is meant.
#[derive(Debug, Clone, Copy)]
pub struct ActAs<'a> {
    /// E-mail address or id.
    pub user: &'a str,
    /// Slug or id of the tenant; without it the user's oldest open one.
    pub tenant: Option<&'a str>,
}

/// The caller that a sign-in would make, but for `session_id`, which is missing.
///
/// # Errors
/// [`AuthError::NoSuchUser`], [`AuthError::UserBanned`]; [`AuthError::NotAMember`] when the tenant is not open to the
/// user; [`AuthError::Validation`] when a slug names several of the user's tenants; and the database's.
pub async fn caller(
    control: &Control,
    who: ActAs<'_>,
    settings: &AuthSettings,
    public_url: &str,
    now: OffsetDateTime,
) -> Result<Caller, AuthError> {
    let find = async |client: &Client| find(client, who).await;
    let (user, membership) = control.read("auth.act_as", find).await?;
    if user.is_banned(now) {
        return Err(AuthError::UserBanned);
    }
    let session = SessionRow {
        id: Uuid::nil(),
        user_id: user.id,
        created_at: now,
        not_after: None,
        aal: "aal1".to_owned(),
        tenant_id: None,
    };
    let issuer = issuer(public_url);
    let claims = AccessClaims::new(&issuer, &user, &session, membership.as_ref(), settings, now);
    let claims = serde_json::to_string(&claims.without_session())
        .map_err(|error| AuthError::Internal(error.to_string()))?;
    Ok(Caller {
        role: user.role.as_str().into(),
        claims: Arc::from(claims),
        user: Some(UserId(user.id)),
        session: None,
        organization: membership.as_ref().map(|membership| OrganizationId(membership.organization_id)),
        tenant: membership.as_ref().map(|membership| TenantId(membership.tenant_id)),
        expires_at: None,
    })
}

async fn find(client: &Client, who: ActAs<'_>) -> Result<(User, Option<Membership>), AuthError> {
    let row = match who.user.parse::<Uuid>() {
        Ok(id) => user::find(client, id).await?,
        Err(_) => user::find_by_email(client, &who.user.to_lowercase()).await?,
    };
    let user = row.map(|row| row.user).filter(|user| user.deleted_at.is_none());
    let user = user.ok_or(AuthError::NoSuchUser)?;
    let Some(tenant) = who.tenant else {
        let membership = membership::find_or_default(client, user.id, None).await?;
        return Ok((user, membership));
    };
    let mut named = membership::list_named(client, user.id, tenant).await?;
    if named.len() > 1 {
        return Err(AuthError::Validation("the slug names several tenants of the user; give the id".into()));
    }
    let membership = named.pop().ok_or(AuthError::NotAMember)?;
    Ok((user, Some(membership)))
}
