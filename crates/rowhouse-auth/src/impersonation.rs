//! Sessions in which an operator acts as a user, with their tokens. Leaves who may, for how long and the audit log to
//! `rowhouse-operator`.

use rowhouse_db::{DbError, Transaction};
use rowhouse_http::limit::RateReport;
use rowhouse_kernel::{AUTHENTICATED, Origin};
use serde_json::Value;
use uuid::Uuid;

use crate::Auth;
use crate::fault::Fault;
use crate::flow::session::Grant;
use crate::model::User;
use crate::request::Client;
use crate::store::impersonation::{self as store, NewActing};
use crate::store::user;

pub use crate::store::impersonation::NewImpersonation;

/// A session that was opened; tokens are signed after its commit.
#[derive(Debug)]
pub struct OpenedImpersonation(Grant);

impl OpenedImpersonation {
    /// The session.
    #[must_use]
    pub fn session(&self) -> Uuid {
        self.0.session.id
    }
}

/// Why a session is not opened.
#[derive(Debug, thiserror::Error)]
pub enum ImpersonationError {
    /// The user is deleted or banned, or has another role than `authenticated`.
    #[error("the user cannot sign in")]
    NotLive,
    /// The database's part.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Tokens cannot be signed.
    #[error("no tokens can be signed: {0}")]
    Sign(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<Fault> for ImpersonationError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Db(error) => Self::Db(error),
            other => Self::Sign(other.into()),
        }
    }
}

impl Auth {
    /// Opens the session, in the caller's transaction.
    ///
    /// # Errors
    /// [`ImpersonationError`].
    pub async fn open_impersonation(
        &self,
        tx: &Transaction<'_>,
        new: NewImpersonation,
        origin: &Origin,
    ) -> Result<OpenedImpersonation, ImpersonationError> {
        let now = self.now();
        let row = user::find(tx, new.user).await?;
        let may_sign_in =
            |user: &User| user.role == AUTHENTICATED && user.deleted_at.is_none() && !user.is_banned(now);
        let user = row.map(|row| row.user).filter(may_sign_in);
        let user = user.ok_or(ImpersonationError::NotLive)?;
        let acting = NewActing { session: self.new_id(), claim: self.new_id(), new };
        let opened = store::open(tx, &acting, &client(origin), now).await?;
        Ok(OpenedImpersonation(Grant::of_opened(opened, user)))
    }

    /// The session as clients get it, with its tokens.
    ///
    /// # Errors
    /// [`ImpersonationError::Sign`].
    pub async fn sign_impersonation(
        &self,
        opened: OpenedImpersonation,
        origin: &Origin,
    ) -> Result<Value, ImpersonationError> {
        let session = opened.0.sign(self, &client(origin), self.now()).await?;
        serde_json::to_value(&session).map_err(|error| ImpersonationError::Sign(error.into()))
    }
}

fn client(origin: &Origin) -> Client {
    Client {
        address: origin.address,
        rates: RateReport::default(),
        user_agent: origin.user_agent.as_deref().map(str::to_owned),
        language: None,
        origin: origin.clone(),
    }
}
