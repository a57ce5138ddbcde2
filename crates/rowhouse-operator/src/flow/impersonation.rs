//! Acting as a user: asking for it, redeeming the code for a session, ending it.

use std::time::Duration;

use rowhouse_auth::{Auth, ImpersonationError, OpenedImpersonation};
use rowhouse_crypto::{OpaqueSecret, digest_hex};
use rowhouse_db::{Control, DbError, Transaction, TransactionError};
use rowhouse_kernel::{Actor, Caller, Origin, UserId};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio_postgres::Client;
use uuid::Uuid;

use super::operation;
use super::reason;
use crate::power::{Power, PowerError, require, require_assurance};
use crate::settings::Assurance;
use crate::store::impersonation::{self as store, Facts, Impersonation, NewImpersonation, Redeemable};

/// Shortest and longest, in minutes.
pub(crate) const MINUTES: std::ops::RangeInclusive<u32> = 5..=1440;
/// How long a code can be redeemed.
pub(crate) const CODE_LIFETIME: Duration = Duration::from_secs(60);
const ONE_AT_A_TIME: &str = "impersonations_operator_id_running_idx";

/// Why nobody acts as the user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActingError {
    #[error("there is no such user")]
    NoSuchUser,
    #[error("the user is suspended or deleted")]
    NotOpen,
    #[error("nobody acts as an operator, or as a user with rights of a service")]
    Privileged,
    #[error("the tenant is not open to the user")]
    NotAMember,
    #[error("you act as a user already; end that first")]
    Running,
    #[error("there is no such code; it works once, for a minute")]
    NoSuchCode,
    #[error("there is no such impersonation")]
    NotFound,
    #[error("{0}")]
    Invalid(String),
    #[error("no tokens can be signed: {0}")]
    Sign(String),
    #[error(transparent)]
    Power(#[from] PowerError),
    #[error(transparent)]
    Db(DbError),
}

impl From<DbError> for ActingError {
    fn from(error: DbError) -> Self {
        match &error {
            DbError::Refused(refused) if refused.constraint.as_deref() == Some(ONE_AT_A_TIME) => {
                Self::Running
            }
            _ => Self::Db(error),
        }
    }
}

impl From<ImpersonationError> for ActingError {
    fn from(error: ImpersonationError) -> Self {
        match error {
            ImpersonationError::NotLive => Self::NotOpen,
            ImpersonationError::Db(error) => error.into(),
            ImpersonationError::Sign(error) => Self::Sign(error.to_string()),
        }
    }
}

impl TransactionError for ActingError {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Db(error) | Self::Power(PowerError::Db(error)) => Some(error),
            _ => None,
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) user: Uuid,
    pub(crate) tenant: Option<Uuid>,
    pub(crate) reason: String,
    pub(crate) minutes: u32,
}

impl Asked {
    /// As a person has written it.
    pub(crate) fn read(
        user: Uuid,
        tenant: Option<Uuid>,
        why: &str,
        minutes: u32,
    ) -> Result<Self, ActingError> {
        if !MINUTES.contains(&minutes) {
            return Err(ActingError::Invalid("minutes: 5 to 1440".to_owned()));
        }
        let reason = reason::read(why).map_err(ActingError::Invalid)?;
        Ok(Self { user, tenant, reason, minutes })
    }
}

/// One that has begun, with its code.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) impersonation: Impersonation,
    pub(crate) code: OpaqueSecret,
}

/// Makes one with this code, in the caller's transaction.
pub(crate) async fn begin(
    tx: &Client,
    caller: &Caller,
    asked: &Asked,
    (id, now, aal): (Uuid, OffsetDateTime, Assurance),
    code: OpaqueSecret,
) -> Result<Begun, ActingError> {
    require(tx, caller, Power::Impersonate).await?;
    require_assurance(tx, caller, aal).await?;
    let operator = caller.user.ok_or(PowerError::Denied)?.0;
    let facts = store::facts(tx, operator, asked.user, asked.tenant).await?;
    require_fitting(&facts)?;
    store::end_lapsed(tx, operator, now).await?;
    let wanted = now + Duration::from_secs(u64::from(asked.minutes) * 60);
    let new = NewImpersonation {
        id,
        operator,
        user: asked.user,
        tenant: asked.tenant,
        reason: &asked.reason,
        code_digest: &code.digest(),
        code_expires_at: now + CODE_LIFETIME,
        created_at: now,
        expires_at: facts.role_ends_at.map_or(wanted, |end| end.min(wanted)),
    };
    let impersonation = store::create(tx, &new).await?;
    let details = json!({ "impersonation_id": new.id, "operator_id": operator, "reason": asked.reason,
        "expires_at": impersonation.expires_at });
    store::audit(tx, "impersonation_begun", asked.user, &details).await?;
    Ok(Begun { impersonation, code })
}

fn require_fitting(facts: &Facts) -> Result<(), ActingError> {
    let all = [
        (facts.exists, ActingError::NoSuchUser),
        (facts.is_plain, ActingError::Privileged),
        (facts.is_open, ActingError::NotOpen),
        (facts.is_member, ActingError::NotAMember),
    ];
    all.into_iter().find(|(fits, _)| !fits).map_or(Ok(()), |(_, error)| Err(error))
}

/// Opens the session that a code stands for, and signs its tokens. Whoever presents the code gets them, as with a code of
/// OAuth: the portal hands it to the application in which the operator acts.
pub(crate) async fn redeem(
    control: &Control,
    auth: &Auth,
    origin: &Origin,
    code: &str,
) -> Result<Value, ActingError> {
    let digest = digest_hex(code);
    let (now, looked_up) = (origin.clock.now(), digest.clone());
    let find = async move |client: &Client| store::find_by_code(client, &looked_up, now).await;
    let found = control.statement(&operation(origin, "operators.find_impersonation"), find).await?;
    let acting = acting(origin, &found.ok_or(ActingError::NoSuchCode)?);
    let (opener, named) = (auth.clone(), acting.clone());
    let redeem = async move |tx: &Transaction<'_>| -> Result<OpenedImpersonation, ActingError> {
        let found = store::find_by_code(tx, &digest, now).await?.ok_or(ActingError::NoSuchCode)?;
        let new = rowhouse_auth::NewImpersonation {
            id: found.id,
            user: found.user,
            tenant: found.tenant,
            operator: found.operator,
            ends_at: found.expires_at,
        };
        let opened = opener.open_impersonation(tx, new, &named).await?;
        store::note_session(tx, found.id, opened.session(), now).await?;
        let details = json!({ "impersonation_id": found.id, "session_id": opened.session() });
        store::audit(tx, "impersonation_redeemed", found.user, &details).await?;
        Ok(opened)
    };
    let opened = control.run_tx(&operation(&acting, "operators.redeem_impersonation"), redeem).await?;
    Ok(auth.sign_impersonation(opened, &acting).await?)
}

/// What is done from here on names both.
fn acting(origin: &Origin, found: &Redeemable) -> Origin {
    let actor = Actor::Impersonated { user: UserId(found.user), operator: UserId(found.operator) };
    Origin { actor, tenant: None, ..origin.clone() }
}

/// Ends one early: an operator's own, or any for a super_admin and the service key.
pub(crate) async fn end(tx: &Client, caller: &Caller, id: Uuid) -> Result<Impersonation, ActingError> {
    require(tx, caller, Power::Help).await?;
    let found = store::find(tx, id).await?.ok_or(ActingError::NotFound)?;
    let is_own = caller.user.is_some_and(|user| user.0 == found.operator_id);
    require(tx, caller, if is_own { Power::Help } else { Power::Everything }).await?;
    store::end(tx, id).await?.ok_or(ActingError::NotFound)
}
