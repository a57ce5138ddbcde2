//! The decision about a presented refresh token, a pure function of the stored state: by its counter, or by its row if it
//! is a token of before. `auth.judge_counter` is the first of them in SQL; tests hold both against the same rule.

use std::time::Duration;

use time::OffsetDateTime;

/// What the session knows of its refresh tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Current {
    /// The counter of the current token.
    pub(crate) counter: i64,
    /// When it became the current one.
    pub(crate) rotated_at: OffsetDateTime,
}

/// The decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// The current token itself: issue its successor.
    Rotate,
    /// A token that was just replaced: the client has lost the answer. Return the current one again.
    Repeat(RepeatCause),
    /// An older token: it or the current one has been stolen. End the session.
    Reused,
    /// A token that was not issued yet, which the signature excludes unless the database is older than the token.
    Unknown,
}

/// Why a replaced token was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RepeatCause {
    /// It is the one before the current token, so no newer one was ever used.
    ParentOfActive,
    /// The current token was issued within the reuse interval: concurrent requests.
    WithinInterval,
}

/// Decides by counters, as GoTrue does for its second token format.
pub(crate) fn judge(current: Current, presented: i64, now: OffsetDateTime, interval: Duration) -> Rotation {
    match current.counter - presented {
        0 => Rotation::Rotate,
        1 => Rotation::Repeat(RepeatCause::ParentOfActive),
        behind if behind < 0 => Rotation::Unknown,
        _ if current.rotated_at >= now - interval => Rotation::Repeat(RepeatCause::WithinInterval),
        _ => Rotation::Reused,
    }
}

/// The counter of the newest token that has a row; those with a counter start at 1.
const NEWEST_ROW: i64 = 0;

/// The row of a token that a client presents.
#[derive(Debug, Clone)]
pub(crate) struct Presented {
    /// What the row has of it: its digest, or itself in an imported database.
    pub(crate) token: String,
    /// When it was rotated or its family revoked.
    pub(crate) updated_at: OffsetDateTime,
}

/// The newest row of the session.
#[derive(Debug, Clone)]
pub(crate) struct Newest {
    pub(crate) token: String,
    /// The token that it replaced.
    pub(crate) parent: Option<String>,
    /// Whether it is replaced by a token with a counter, or its family was revoked.
    pub(crate) revoked: bool,
}

/// Decides about a token that has a row. Without a counter in the session, the rules are GoTrue's for its first format.
pub(crate) fn judge_row(
    presented: &Presented,
    newest: &Newest,
    current: Option<Current>,
    now: OffsetDateTime,
    interval: Duration,
) -> Rotation {
    let is_newest = newest.token == presented.token;
    let is_parent = newest.parent.as_ref() == Some(&presented.token);
    match current {
        Some(current) if is_newest || is_parent => judge(current, NEWEST_ROW, now, interval),
        Some(current) => judge(current, NEWEST_ROW - 1, now, interval),
        None if newest.revoked => Rotation::Reused,
        None if is_newest => Rotation::Rotate,
        None if is_parent => Rotation::Repeat(RepeatCause::ParentOfActive),
        None if now <= presented.updated_at + interval => Rotation::Repeat(RepeatCause::WithinInterval),
        None => Rotation::Reused,
    }
}

#[cfg(test)]
mod tests;
