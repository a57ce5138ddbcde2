//! Closing and opening accounts.

use rowhouse_db::{DbError, TransactionError};
use rowhouse_kernel::Caller;
use tokio_postgres::Client;
use uuid::Uuid;

use super::reason;
use crate::power::{Power, PowerError, require};
use crate::store::user::{self as store, Closing};

/// Why an account stays as it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error("there is no such user")]
    Missing,
    #[error("this is your own account")]
    Own,
    #[error("the user is an operator: this is for super_admins and the service key")]
    Operator,
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Power(#[from] PowerError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl TransactionError for AccountError {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Db(error) | Self::Power(PowerError::Db(error)) => Some(error),
            _ => None,
        }
    }
}

/// What is done to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// Sign-ins are refused and every session ends, on every surface at its next request.
    Suspend(String),
    /// Sign-ins work again; ended sessions stay ended.
    Reactivate(Option<String>),
}

impl Change {
    /// With a reason as a person has written it.
    pub(crate) fn read(suspends: bool, why: Option<&str>) -> Result<Self, AccountError> {
        let why = why.map(reason::read).transpose().map_err(AccountError::Invalid)?;
        match (suspends, why) {
            (true, None) => Err(AccountError::Invalid("reason: required".to_owned())),
            (true, Some(why)) => Ok(Self::Suspend(why)),
            (false, why) => Ok(Self::Reactivate(why)),
        }
    }
}

/// Does it as `actor`. Whether anything had to be done.
pub(crate) async fn change(
    tx: &Client,
    user: Uuid,
    change: &Change,
    actor: &str,
) -> Result<bool, AccountError> {
    let closing = match change {
        Change::Suspend(why) => store::suspend(tx, user, why, actor).await?,
        Change::Reactivate(why) => store::reactivate(tx, user, why.as_deref(), actor).await?,
    };
    match closing {
        Closing::Done => Ok(true),
        Closing::Unchanged => Ok(false),
        Closing::Missing => Err(AccountError::Missing),
        Closing::Own => Err(AccountError::Own),
        Closing::Operator => Err(AccountError::Operator),
    }
}

/// The same by a caller, who has to be an operator; returns the user.
pub(crate) async fn change_by(
    tx: &Client,
    caller: &Caller,
    user: Uuid,
    wanted: &Change,
    actor: &str,
) -> Result<store::User, AccountError> {
    require(tx, caller, Power::Help).await?;
    change(tx, user, wanted, actor).await?;
    store::find(tx, user).await?.ok_or(AccountError::Missing)
}
