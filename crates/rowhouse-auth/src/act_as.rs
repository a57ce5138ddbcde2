//! A caller for a user without session and token, for operators' tools that show what the user would see. Nothing is
//! written; the flight checks user and tenant as for every caller.

use std::sync::Arc;

use rowhouse_db::{Control, DbError, TransactionError};
use rowhouse_http::ServerSettings;
use rowhouse_kernel::{Caller, OrganizationId, Origin, TenantId, UserId};
use rowhouse_module::{CallerFuture, CannotRun, CommandContext, State};
use rowhouse_tenancy::membership::{self, Membership};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::claims::AccessClaims;
use crate::fault::Fault;
use crate::method::{Amr, Method};
use crate::model::User;
use crate::settings::AuthSettings;
use crate::state::issuer;
use crate::store::session::SessionRow;
use crate::store::user;

/// The user and tenant to act as.
#[derive(Debug, Clone, Copy)]
struct ActAs<'a> {
    /// E-mail address or id.
    user: &'a str,
    /// Slug or id of the tenant; without it the user's oldest active membership.
    tenant: Option<&'a str>,
}

/// Why a caller cannot be made.
#[derive(Debug, thiserror::Error)]
enum ActAsError {
    /// No user has this address or id.
    #[error("no such user")]
    NoSuchUser,
    /// The user is banned.
    #[error("the user is banned")]
    Banned,
    /// The tenant does not exist, is not active, or the user is no active member.
    #[error("the tenant is not open to the user")]
    NotAMember,
    /// Slugs are unique within an organization only.
    #[error("the slug names several tenants of the user; give the id")]
    SeveralTenants,
    /// The claims do not serialize.
    #[error("the claims cannot be written as JSON")]
    Claims(#[source] serde_json::Error),
    /// The user cannot be read.
    #[error("the user cannot be read: {0}")]
    Read(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database's part.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<Fault> for ActAsError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Db(error) => Self::Db(error),
            other => Self::Read(other.into()),
        }
    }
}

impl TransactionError for ActAsError {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Db(error) => Some(error),
            _ => None,
        }
    }
}

/// The caller that a sign-in would make, without `session_id`.
///
/// # Errors
/// [`ActAsError`].
async fn caller(
    control: &Control,
    who: ActAs<'_>,
    settings: &AuthSettings,
    public_url: &str,
    origin: &Origin,
) -> Result<Caller, ActAsError> {
    let find = async |client: &Client| find(client, who).await;
    let (user, membership) = control.statement(&origin.operation("auth.act_as"), find).await?;
    let now = origin.clock.now();
    if user.is_banned(now) {
        return Err(ActAsError::Banned);
    }
    let session = SessionRow {
        id: Uuid::nil(),
        user_id: user.id,
        not_after: None,
        aal: "aal1".to_owned(),
        amr: vec![Amr {
            method: Method::Password.as_str().to_owned(),
            timestamp: now.unix_timestamp(),
            provider: None,
        }],
        tenant_id: None,
        impersonation: None,
        current: None,
    };
    let issuer = issuer(public_url);
    let claims = AccessClaims::new(&issuer, &user, &session, membership.as_ref(), settings, now);
    let claims = serde_json::to_string(&claims.without_session()).map_err(ActAsError::Claims)?;
    Ok(Caller {
        role: user.role.as_str().into(),
        claims: Arc::from(claims),
        user: Some(UserId(user.id)),
        session: None,
        api_key: None,
        organization: membership.as_ref().map(|membership| OrganizationId(membership.organization_id)),
        tenant: membership.as_ref().map(|membership| TenantId(membership.tenant_id)),
        expires_at: None,
    })
}

/// The same for a command, with an error that names the user and the tenant.
pub(crate) fn find_caller<'a>(
    context: &'a CommandContext,
    user: &'a str,
    tenant: Option<&'a str>,
) -> CallerFuture<'a> {
    Box::pin(async move {
        let settings = context.settings()?;
        let url = State::read(&context.project)
            .map(|state| state.url)
            .or_else(|| settings.get::<ServerSettings>().public_url.clone());
        let who = ActAs { user, tenant };
        let (auth, url) = (settings.get::<AuthSettings>(), url.unwrap_or_default());
        let found = caller(&context.control()?, who, &auth, &url, &Origin::system(&context.clock)).await;
        found.map_err(|error| CannotRun::because(message(&error, who)))
    })
}

fn message(error: &ActAsError, ActAs { user, tenant }: ActAs<'_>) -> String {
    match error {
        ActAsError::NoSuchUser => format!("no user {user}"),
        ActAsError::Banned => format!("user {user} is banned"),
        ActAsError::NotAMember => format!("no tenant {} that is open to {user}", tenant.unwrap_or_default()),
        other => other.to_string(),
    }
}

async fn find(client: &Client, who: ActAs<'_>) -> Result<(User, Option<Membership>), ActAsError> {
    let row = match who.user.parse::<Uuid>() {
        Ok(id) => user::find(client, id).await?,
        Err(_) => user::find_by_email(client, &who.user.to_lowercase()).await?,
    };
    let user = row.map(|row| row.user).filter(|user| user.deleted_at.is_none());
    let user = user.ok_or(ActAsError::NoSuchUser)?;
    let Some(tenant) = who.tenant else {
        let membership = membership::find_or_default(client, user.id, None).await?;
        return Ok((user, membership));
    };
    let mut named = membership::list_named(client, user.id, tenant).await?;
    if named.len() > 1 {
        return Err(ActAsError::SeveralTenants);
    }
    let membership = named.pop().ok_or(ActAsError::NotAMember)?;
    Ok((user, Some(membership)))
}
