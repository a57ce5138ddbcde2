//! Liveness of a token's user and session, looked up on every request of a signed-in user.

use time::OffsetDateTime;

use crate::request::SignedIn;
use crate::store::user::{LiveUser, UserRow};

/// Why a genuine token is no longer valid, or not enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotLive {
    /// The user was deleted.
    #[error("User from sub claim in JWT does not exist")]
    UserNotFound,
    /// The session has been ended.
    #[error("Session from session_id claim in JWT does not exist")]
    SessionNotFound,
    /// The user is banned.
    #[error("User is banned")]
    UserBanned,
    /// The user has a second factor, and the session has not verified it.
    #[error("AAL2 session is required to link or unlink identities when MFA is enabled.")]
    NeedsAal2,
}

/// Refuses users who were deleted, banned or signed out since the token was signed.
pub(crate) fn require_live(
    live: Option<LiveUser>,
    caller: SignedIn,
    now: OffsetDateTime,
) -> Result<UserRow, NotLive> {
    let live = live.filter(|live| live.row.user.deleted_at.is_none()).ok_or(NotLive::UserNotFound)?;
    let ended = live.not_after.is_some_and(|end| end <= now);
    if caller.session.is_some() && (!live.has_session || ended) {
        return Err(NotLive::SessionNotFound);
    }
    if live.row.user.is_banned(now) { Err(NotLive::UserBanned) } else { Ok(live.row) }
}

/// The same for what a session without the user's second factor may not do.
pub(crate) fn require_strong(
    live: Option<LiveUser>,
    caller: SignedIn,
    now: OffsetDateTime,
) -> Result<UserRow, NotLive> {
    let lacks_factor = live.as_ref().is_some_and(LiveUser::lacks_factor);
    let row = require_live(live, caller, now)?;
    if lacks_factor { Err(NotLive::NeedsAal2) } else { Ok(row) }
}

#[cfg(test)]
mod tests {
    use rowhouse_kernel::{SessionId, UserId};
    use time::Duration;

    use super::*;

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
    }

    fn live(change: impl FnOnce(&mut LiveUser)) -> Option<LiveUser> {
        let row = UserRow { user: crate::claims::tests::user(), encrypted_password: None };
        let mut live = LiveUser { row, has_session: true, not_after: None, aal: None };
        change(&mut live);
        Some(live)
    }

    fn caller() -> SignedIn {
        SignedIn {
            user: UserId(uuid::Uuid::from_u128(1)),
            session: Some(SessionId(uuid::Uuid::from_u128(2))),
        }
    }

    #[test]
    fn live_session_is_accepted() {
        assert!(require_live(live(|_| {}), caller(), now()).is_ok());
        let later = now() + Duration::SECOND;
        assert!(require_live(live(|live| live.not_after = Some(later)), caller(), now()).is_ok());
        assert!(require_live(live(|live| live.row.user.banned_until = Some(now())), caller(), now()).is_ok());
    }

    #[test]
    fn ended_sessions_and_deleted_users_are_refused() {
        let refused = |live| require_live(live, caller(), now()).unwrap_err();
        assert_eq!(refused(None), NotLive::UserNotFound);
        assert_eq!(refused(live(|live| live.row.user.deleted_at = Some(now()))), NotLive::UserNotFound);
        assert_eq!(refused(live(|live| live.has_session = false)), NotLive::SessionNotFound);
        assert_eq!(refused(live(|live| live.not_after = Some(now()))), NotLive::SessionNotFound);
        let banned = live(|live| live.row.user.banned_until = Some(now() + Duration::SECOND));
        assert_eq!(refused(banned), NotLive::UserBanned);
    }

    #[test]
    fn token_without_session_is_judged_by_the_user_alone() {
        let caller = SignedIn { session: None, ..caller() };
        assert!(require_live(live(|live| live.has_session = false), caller, now()).is_ok());
    }
}
