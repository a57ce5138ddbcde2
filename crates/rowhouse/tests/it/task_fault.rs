//! Every background task of the program, when it panics, ends or hangs, is reported by health in time and restarted.

use std::time::Duration;

use http::Method;
use reqwest::StatusCode;
use rowhouse_http::TaskFault;
use rowhouse_module::Roles;
use rowhouse_testkit::{TestDatabase, until};

use crate::support::{TestApp, settings};

/// A fault has to be reported by health within this time.
const SEEN_WITHIN: Duration = Duration::from_secs(10);
/// Restarted tasks count as up after they have run for two seconds; pauses between restarts grow.
const UP_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_task_that_panics_returns_or_hangs_is_reported_and_restarted() {
    let db = TestDatabase::create().await;
    let app = TestApp::start_as(db, settings(), Roles::ALL).await;
    let names: Vec<&str> = app.app.supervisor().statuses().iter().map(|task| task.name).collect();
    assert!(names.contains(&"jobs.worker") && names.contains(&"rest.schema"), "{names:?}");
    let ready = async || app.send(app.request(Method::GET, "/health/ready")).await.status;
    until("it is ready at first", UP_WITHIN, async || ready().await == StatusCode::OK).await;
    for (round, fault) in (1..).zip([TaskFault::Panic, TaskFault::Return, TaskFault::Hang]) {
        for name in &names {
            assert!(app.app.supervisor().inject(name, fault), "{name}");
        }
        for name in &names {
            let statuses = || app.app.supervisor().statuses();
            let seen = async || statuses().iter().any(|task| task.name == *name && task.restarts == round);
            until(format!("{name}: {fault:?} is seen"), SEEN_WITHIN, seen).await;
        }
        assert_eq!(ready().await, StatusCode::SERVICE_UNAVAILABLE, "{fault:?}");
        until("all is well again", UP_WITHIN, async || ready().await == StatusCode::OK).await;
    }
}
