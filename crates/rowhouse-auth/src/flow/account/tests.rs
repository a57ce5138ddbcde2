use rowhouse_kernel::{SessionId, UserId};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{merged, require_live};
use crate::AuthError;
use crate::request::SignedIn;
use crate::store::user::{LiveUser, UserRow};

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

fn live(change: impl FnOnce(&mut LiveUser)) -> Option<LiveUser> {
    let row = UserRow { user: crate::claims::tests::user(), encrypted_password: None, locked_until: None };
    let mut live = LiveUser { row, has_session: true, not_after: None };
    change(&mut live);
    Some(live)
}

fn caller() -> SignedIn {
    SignedIn { user: UserId(uuid::Uuid::from_u128(1)), session: Some(SessionId(uuid::Uuid::from_u128(2))) }
}

#[test]
fn standing_session_is_let_through() {
    assert!(require_live(live(|_| {}), caller(), now()).is_ok());
    assert!(
        require_live(live(|live| live.not_after = Some(now() + Duration::SECOND)), caller(), now()).is_ok()
    );
    assert!(require_live(live(|live| live.row.user.banned_until = Some(now())), caller(), now()).is_ok());
}

#[test]
fn ended_sessions_and_gone_users_are_refused() {
    let refused = |live| require_live(live, caller(), now()).unwrap_err();
    assert!(matches!(refused(None), AuthError::UserNotFound));
    assert!(matches!(refused(live(|live| live.row.user.deleted_at = Some(now()))), AuthError::UserNotFound));
    assert!(matches!(refused(live(|live| live.has_session = false)), AuthError::SessionNotFound));
    assert!(matches!(refused(live(|live| live.not_after = Some(now()))), AuthError::SessionNotFound));
    let banned = live(|live| live.row.user.banned_until = Some(now() + Duration::SECOND));
    assert!(matches!(refused(banned), AuthError::UserBanned));
}

#[test]
fn token_without_session_is_judged_by_the_user_alone() {
    let caller = SignedIn { session: None, ..caller() };
    assert!(require_live(live(|live| live.has_session = false), caller, now()).is_ok());
}

#[test]
fn metadata_is_merged_key_by_key_and_null_removes() {
    let object = |value: serde_json::Value| value.as_object().unwrap().clone();
    let before = object(json!({ "a": 1, "b": { "x": 1 }, "c": 3 }));
    let after = merged(before, &object(json!({ "b": { "y": 2 }, "c": null, "d": 4 })));
    assert_eq!(after, object(json!({ "a": 1, "b": { "y": 2 }, "d": 4 })));
}
