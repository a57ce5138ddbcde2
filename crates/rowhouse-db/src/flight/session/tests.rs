use super::*;
use rowhouse_kernel::{AUTHENTICATED, SERVICE_ROLE, UserId};
use uuid::Uuid;

fn user(id: u128) -> Caller {
    Caller { role: AUTHENTICATED.into(), user: Some(UserId(Uuid::from_u128(id))), ..Caller::anonymous() }
}

fn is_cleared(session: &mut SessionState, caller: &Caller) -> bool {
    let cleared = session.clearing(Some(caller)).is_some();
    session.serve(Some(caller));
    cleared
}

#[test]
fn session_is_cleared_whenever_its_caller_changes() {
    let mut session = SessionState::new(Duration::from_secs(1), 0);
    let calls = [(1, false), (1, false), (2, true), (2, false), (1, true)];
    assert_eq!(calls.map(|(id, _)| is_cleared(&mut session, &user(id))), calls.map(|(_, cleared)| cleared));
    session.distrust();
    assert!(is_cleared(&mut session, &user(1)));
}

#[test]
fn anonymous_and_service_callers_are_never_the_same() {
    let service = Caller { role: SERVICE_ROLE.into(), ..user(1) };
    for caller in [Caller::anonymous(), service] {
        let mut session = SessionState::new(Duration::from_secs(1), 0);
        let calls = [(); 3].map(|()| is_cleared(&mut session, &caller));
        assert_eq!(calls, [false, true, true]);
    }
}

#[test]
fn own_statements_leave_nothing_to_be_cleared() {
    let mut session = SessionState::new(Duration::from_secs(1), 0);
    for _ in 0..2 {
        assert!(session.clearing(None).is_none());
        session.serve(None);
    }
    assert!(!is_cleared(&mut session, &user(1)));
    assert!(session.clearing(None).is_some());
}
