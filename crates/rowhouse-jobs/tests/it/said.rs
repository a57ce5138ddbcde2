//! What running jobs say of themselves: progress and lines, within bounds.

use rowhouse_jobs::admin;
use serde_json::json;

use crate::support::{count, database, idle, registry, text, worker};

#[tokio::test]
async fn handler_reports_progress_and_log_lines() {
    let db = database().await;
    let url = db.urls.control.clone();
    let control = rowhouse_db::Control::open(&url, &rowhouse_db::DbSettings::default()).unwrap();
    let saying = registry(move |job| {
        let control = control.clone();
        async move {
            let client = control.connection().await.unwrap();
            rowhouse_jobs::log(&client, &job, "page 1").await.unwrap();
            rowhouse_jobs::progress(&client, job.id, 40.0, Some("page 1")).await.unwrap();
            // However busy this machine is, the next comes within a tenth of a second.
            client.execute("update jobs.progress set at = at + interval '1 minute'", &[]).await.unwrap();
            rowhouse_jobs::progress(&client, job.id, 41.0, Some("too soon")).await.unwrap();
            Ok(Some(json!({ "pages": 1 })))
        }
    });
    let worker = worker(&db, saying).await;
    let client = db.superuser().await;
    let id: i64 = client.query_one("select jobs.enqueue('test.work')", &[]).await.unwrap().get(0);
    idle(&client).await;
    let job = admin::find(&client, id).await.unwrap().unwrap();
    assert_eq!((&job["state"], &job["result"]), (&json!("done"), &json!({ "pages": 1 })));
    assert_eq!((&job["progress"]["percent"], &job["progress"]["note"]), (&json!(40), &json!("page 1")));
    assert_eq!((&job["log"][0]["attempt"], &job["log"][0]["line"]), (&json!(1), &json!("page 1")));
    drop(worker);
}

#[tokio::test]
async fn progress_and_log_are_bounded() {
    let db = database().await;
    let client = db.superuser().await;
    let write = "select jobs.write_log(7, repeat('x', 20000)) from generate_series(1, 1010)";
    client.batch_execute(write).await.unwrap();
    assert_eq!(count(&client, "log").await, 1000);
    assert_eq!(text(&client, "select max(length(line))::text from jobs.log").await, "10000");
    let last = text(&client, "select line from jobs.log order by at desc limit 1").await;
    assert!(last.contains("further lines are left out"), "{last}");
    client.batch_execute("select jobs.set_progress(7, 1e9, repeat('x', 5000))").await.unwrap();
    assert_eq!(text(&client, "select percent || ' ' || length(note) from jobs.progress").await, "100 1000");
}

#[tokio::test]
async fn callers_of_the_data_api_cannot_write_into_jobs() {
    let db = database().await;
    let client = db.superuser().await;
    client.batch_execute("set role authenticated").await.unwrap();
    for call in [
        "jobs.write_log(1, 'x')",
        "jobs.set_progress(1, 5)",
        "jobs.find(1)",
        "jobs.retry(1)",
        "jobs.pause(null, null, true)",
    ] {
        let refused = client.batch_execute(&format!("select {call}")).await.unwrap_err();
        assert_eq!(refused.code().map(tokio_postgres::error::SqlState::code), Some("42501"), "{call}");
    }
}
