//! The command `jobs` on a running database.

use rowhouse_testkit::TestDatabase;
use serde_json::json;

use crate::program::Folder;

async fn project() -> (TestDatabase, Folder) {
    let db = TestDatabase::create().await;
    db.superuser().await.batch_execute("insert into jobs.kinds (name) values ('jobs.noop')").await.unwrap();
    let folder = Folder::with_settings(&format!("[db]\nurl = \"{}\"\n", db.urls.control.expose()));
    (db, folder)
}

#[tokio::test]
async fn jobs_are_enqueued_listed_shown_cancelled_and_retried_from_the_command_line() {
    let (_db, folder) = project().await;
    let json = |args: &[&str], code: i32| {
        let run = folder.run(&[args, &["--json"]].concat());
        assert_eq!(run.code, code, "{args:?}: {run:?}");
        run.document()
    };
    assert_eq!(folder.run(&["jobs", "list"]).out.trim(), "no jobs");
    let id = json(&["jobs", "enqueue", "jobs.noop", "--payload", r#"{"n":1}"#], 0)["id"].to_string();
    json(&["jobs", "enqueue", "jobs.noop", "--delay", "1h"], 0);
    let ready = json(&["jobs", "list", "--state", "ready"], 0);
    assert_eq!(ready["jobs"].as_array().unwrap().len(), 1);
    assert_eq!(json(&["jobs", "show", &id], 0)["payload"], json!({ "n": 1 }));
    let text = folder.run(&["jobs", "show", &id]).out;
    assert!(text.contains("state         ready"), "{text}");
    json(&["jobs", "cancel", &id], 0);
    assert_eq!(json(&["jobs", "list", "--state", "cancelled"], 0)["jobs"][0]["id"].to_string(), id);
    json(&["jobs", "retry", &id], 0);
    assert_eq!(json(&["jobs", "stats"], 0)["kinds"][0]["ready"], 1);
    assert!(folder.run(&["jobs", "stats"]).out.contains("jobs.noop"));
    json(&["jobs", "retry", &id], 1);
    json(&["jobs", "drain", "--timeout", "1ms"], 1);
    json(&["jobs", "drain", "--queue", "other"], 2);
    assert_eq!(json(&["jobs", "retry", "--all", "--kind", "jobs.noop"], 0)["retried"], 0);
}

#[tokio::test]
async fn failures_have_distinct_exit_codes() {
    let (_db, folder) = project().await;
    for (args, code) in [
        (&["jobs", "show", "4711"][..], 1),
        (&["jobs", "cancel", "4711"], 1),
        (&["jobs", "retry", "4711"], 1),
        (&["jobs", "retry"], 2),
        (&["jobs", "show", "many"], 2),
        (&["jobs", "list", "--state", "odd"], 2),
        (&["jobs", "enqueue", "no.such"], 2),
        (&["jobs", "enqueue", "jobs.noop", "--payload", "{"], 2),
        (&["jobs", "pause", "--queue", "no"], 2),
        (&["jobs", "pause"], 0),
        (&["jobs", "resume", "--queue", "default"], 0),
    ] {
        let run = folder.run(args);
        assert_eq!(run.code, code, "{args:?}: {run:?}");
    }
}

#[tokio::test]
async fn pause_of_a_tenant_is_not_reported_as_one_of_all() {
    let (db, folder) = project().await;
    let tenant = "01900000-0000-7000-8000-000000000001";
    let made = format!(
        "insert into tenancy.organizations (id, name, slug) values ('{tenant}', 'x', 'x'); \
         insert into tenancy.tenants (id, organization_id, name, slug) values ('{tenant}', '{tenant}', 'x', 'x')"
    );
    db.superuser().await.batch_execute(&made).await.unwrap();
    for (command, word) in [("pause", "paused"), ("resume", "resumed")] {
        let run = folder.run(&["jobs", command, "--tenant", tenant]);
        assert!(run.out.starts_with(&format!("{word}: ")), "{run:?}");
        assert!(run.out.trim_end().ends_with(&format!(" of tenant {tenant}")), "{run:?}");
    }
}
