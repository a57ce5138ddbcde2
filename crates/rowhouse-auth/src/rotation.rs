//! The decision about a presented refresh token, a pure function of the stored state.
//!
//! Tokens of a session form one chain, each the successor of its parent, and only the last is not revoked.

use std::time::Duration;

use time::OffsetDateTime;

/// The stored row of the token that a client presents.
#[derive(Debug, Clone)]
pub(crate) struct Presented {
    /// Its digest.
    pub(crate) digest: String,
    /// Whether it has been rotated or its family revoked.
    pub(crate) revoked: bool,
    /// When that happened.
    pub(crate) updated_at: OffsetDateTime,
}

/// The session's one active token.
#[derive(Debug, Clone)]
pub(crate) struct Active {
    /// Its digest.
    pub(crate) digest: String,
    /// The digest of the token that it replaced.
    pub(crate) parent: Option<String>,
}

/// The decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// The active token itself: revoke it and issue its successor.
    Rotate,
    /// A token that was just replaced: the client has lost the answer. Return the active one again.
    Repeat(RepeatCause),
    /// An older token: it or the active one has been stolen. End the session.
    Reused,
}

/// Why a revoked token was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RepeatCause {
    /// It is the parent of the active token, so no newer one was ever used.
    ParentOfActive,
    /// It was replaced within the reuse interval: concurrent requests.
    WithinInterval,
}

/// Decides as GoTrue does for its first token format. In a session without an active token the family was revoked.
pub(crate) fn decide(
    presented: &Presented,
    active: Option<&Active>,
    now: OffsetDateTime,
    interval: Duration,
) -> Rotation {
    let Some(active) = active else { return Rotation::Reused };
    if !presented.revoked {
        return Rotation::Rotate;
    }
    if active.parent.as_deref() == Some(&presented.digest) {
        return Rotation::Repeat(RepeatCause::ParentOfActive);
    }
    if now <= presented.updated_at + interval {
        return Rotation::Repeat(RepeatCause::WithinInterval);
    }
    Rotation::Reused
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
    }

    fn presented(digest: &str, revoked: bool, seconds_ago: i64) -> Presented {
        Presented {
            digest: digest.to_owned(),
            revoked,
            updated_at: now() - time::Duration::seconds(seconds_ago),
        }
    }

    fn active(digest: &str, parent: Option<&str>) -> Active {
        Active { digest: digest.to_owned(), parent: parent.map(str::to_owned) }
    }

    fn decided(presented: &Presented, active: Option<&Active>) -> Rotation {
        decide(presented, active, now(), INTERVAL)
    }

    #[test]
    fn active_token_is_rotated_however_old() {
        let rotation = decided(&presented("a", false, 86_400 * 365), Some(&active("a", None)));
        assert_eq!(rotation, Rotation::Rotate);
    }

    #[test]
    fn parent_of_the_active_token_gets_the_active_token_however_late() {
        let rotation = decided(&presented("a", true, 86_400), Some(&active("b", Some("a"))));
        assert_eq!(rotation, Rotation::Repeat(RepeatCause::ParentOfActive));
    }

    #[test]
    fn grandparent_is_accepted_within_the_interval_only() {
        let live = active("c", Some("b"));
        assert_eq!(
            decided(&presented("a", true, 10), Some(&live)),
            Rotation::Repeat(RepeatCause::WithinInterval)
        );
        assert_eq!(decided(&presented("a", true, 11), Some(&live)), Rotation::Reused);
    }

    #[test]
    fn revoked_family_is_refused() {
        assert_eq!(decided(&presented("a", true, 0), None), Rotation::Reused);
    }
}
