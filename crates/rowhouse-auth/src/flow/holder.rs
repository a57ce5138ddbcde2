//! The caller of a change to second factors: account and session, locked so that such changes are serialized per user.

use rowhouse_db::Transaction;
use time::OffsetDateTime;

use crate::fault::Fault;
use crate::live::{NotLive, require_live};
use crate::model::User;
use crate::request::SignedIn;
use crate::store::session::{self, SessionRow};
use crate::store::{assurance, user};

/// Why a caller may not change second factors at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HolderError {
    /// Session or user are no longer valid.
    #[error(transparent)]
    NotLive(#[from] NotLive),
    /// The user has no address and no number.
    #[error("Anonymous user not allowed to perform these actions")]
    Anonymous,
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A signed-in user with the session.
#[derive(Debug)]
pub(crate) struct Holder {
    pub(crate) user: User,
    pub(crate) session: SessionRow,
}

impl Holder {
    /// Whether a second factor was verified in this session.
    pub(crate) fn is_aal2(&self) -> bool {
        self.session.is_aal2()
    }

    /// Whether this session lacks the second factor that the user has.
    pub(crate) fn lacks_factor(&self) -> bool {
        self.user.has_second_factor() && !self.is_aal2()
    }
}

/// Locks the caller's account, then the session. The reads wait for the first lock, so they see what its former holder did.
pub(crate) async fn lock(
    tx: &Transaction<'_>,
    caller: SignedIn,
    now: OffsetDateTime,
) -> Result<Holder, HolderError> {
    let (user, id) = (caller.user.0, caller.require_session()?.0);
    let ((), session, live) = tokio::try_join!(
        assurance::lock_user(tx, user),
        session::lock(tx, id, user),
        user::find_live(tx, user, Some(id)),
    )?;
    let user = require_live(live, caller, now)?.user;
    let session = session.ok_or(NotLive::SessionNotFound)?;
    if user.is_anonymous { Err(HolderError::Anonymous) } else { Ok(Holder { user, session }) }
}
