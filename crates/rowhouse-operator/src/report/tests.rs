use rowhouse_tenancy::user_sync::{Trigger, UserSync};
use serde_json::json;

use super::{Outcome, Report, State, success_rate};
use crate::sync::{Done, LastSync};

fn sync(users: i64, profiles: i64) -> UserSync {
    UserSync {
        status: "healthy",
        total_auth_users: users,
        total_profiles: profiles,
        missing_profiles: users - profiles,
        sync_percentage: 100.0,
        trigger: Trigger::Active,
    }
}

fn report(created: u64, failed: u64, seconds: f64) -> Report {
    let details = json!({ "created_profiles": created, "failed_creations": failed, "errors": ["x"], "execution_time": seconds });
    Report::new(sync(2, 2).into(), Some(LastSync { ended_at: "2026-11-28T00:00:00Z".to_owned(), details }))
}

#[test]
fn recommendation_is_given_beyond_each_limit_and_not_at_it() {
    assert_eq!(report(100, 0, 30.0).recommendations, [""; 0]);
    let said = |report: Report| report.recommendations.iter().map(|text| &text[..9]).collect::<Vec<_>>();
    assert_eq!(said(report(101, 0, 30.0)), ["More than"]);
    assert_eq!(said(report(1, 1, 30.1)), ["Profiles ", "The sync "]);
    let state = State { trigger: Trigger::Missing, ..sync(3, 2).into() };
    let none = Report::new(state, None);
    assert_eq!((none.success_rate, none.created_profiles, none.execution_time), (None, None, None));
    assert_eq!(said(none), ["New users", "Profiles "]);
}

#[test]
fn success_rate_is_rounded_down() {
    assert_eq!([success_rate(0, 0), success_rate(2, 1), success_rate(99_999, 1)], [100.0, 66.66, 99.99]);
    assert_eq!(report(3, 1, 1.0).success_rate, Some(75.0));
}

#[test]
fn result_has_the_names_of_deployment_guides_at_top_level() {
    let done = Done { created: 1, ..Done::default() };
    let outcome = Outcome::new(&sync(2, 1), sync(2, 2), done, false);
    let document = serde_json::to_value(&outcome).unwrap();
    assert_eq!(
        document,
        json!({
            "status": "healthy", "total_auth_users": 2, "total_profiles": 2, "existing_profiles": 1,
            "missing_profiles": 0, "sync_percentage": 100.0, "trigger": "active", "created_profiles": 1,
            "failed_creations": 0, "errors": [], "execution_time": 0.0, "created_user_ids": [],
            "dry_run": false, "interrupted": false,
        })
    );
    assert!(outcome.is_good());
    assert!(!Outcome::new(&sync(2, 1), sync(2, 1), Done::default(), false).is_good());
    assert!(Outcome::new(&sync(2, 1), sync(2, 1), Done::default(), true).is_good());
    let failed = Done { failed: 1, ..Done::default() };
    assert!(!Outcome::new(&sync(2, 1), sync(2, 2), failed, false).is_good());
}
