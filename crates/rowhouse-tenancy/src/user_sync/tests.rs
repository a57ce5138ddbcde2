use super::{Trigger, UserSync};

#[test]
fn no_users_is_complete_and_one_missing_is_not() {
    let of = |users, profiles, missing| UserSync::from_counts(users, profiles, missing, Trigger::Active);
    let none = of(0, 0, 0);
    assert_eq!((none.status, none.sync_percentage, none.is_complete()), ("healthy", 100.0, true));
    let nearly = of(100_000, 99_999, 1);
    assert_eq!((nearly.status, nearly.missing_profiles, nearly.sync_percentage), ("warning", 1, 99.99));
    assert!(!nearly.is_complete());
    assert_eq!((of(10, 5, 5).status, of(10, 4, 6).status), ("warning", "degraded"));
}

#[test]
fn without_the_trigger_nothing_is_healthy() {
    for trigger in [Trigger::Missing, Trigger::Disabled] {
        let sync = UserSync::from_counts(3, 3, 0, trigger);
        assert_eq!((sync.status, sync.missing_profiles, sync.is_complete()), ("degraded", 0, false));
        assert_eq!(Trigger::parse(trigger.as_str()), trigger);
    }
}
