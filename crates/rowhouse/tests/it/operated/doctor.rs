//! `doctor` says when new users get nothing.

use super::Harness;
use crate::program::{Folder, Run, on_database};

#[tokio::test]
async fn doctor_names_a_missing_trigger_of_sign_ups() {
    let harness = Harness::new().await;
    let folder = Folder::with_settings("");
    let check = || {
        let run = Run::of(on_database(&harness.app.db, &folder, &["doctor", "--json"]).output().unwrap());
        let document = run.document();
        let checks = document["checks"].as_array().unwrap().clone();
        let check = checks.into_iter().find(|check| check["name"] == "sign-up");
        check.unwrap_or_else(|| panic!("{document}"))
    };
    assert_eq!(check()["ok"], true, "{}", check());
    harness.sql("drop trigger on_auth_user_created on auth.users").await;
    let missing = check();
    assert_eq!(missing["ok"], false);
    let detail = missing["detail"].as_str().unwrap();
    assert!(
        detail.contains("on_auth_user_created is missing") && detail.contains("users repair"),
        "{detail}"
    );
}
