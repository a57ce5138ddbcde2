//! Log lines and jobs of a request carry its id.

use std::io::Write;
use std::sync::{Arc, Mutex};

use reqwest::{Method, StatusCode};
use rowhouse_module::Roles;
use rowhouse_testkit::until_true;
use serde_json::{Value, json};

use super::start;

/// Log lines as they are written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// The first line with this message, if any.
    fn find(&self, message: &str, about: &str) -> Option<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut lines = lines.filter(|line| line["fields"]["message"] == message);
        lines.find(|line| line.to_string().contains(about))
    }
}

#[tokio::test]
async fn log_lines_of_a_request_and_of_its_job_carry_the_same_id() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
    // With a single subscriber, tracing's callsite cache could disable a line for all threads.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let _guard = tracing::subscriber::set_default(subscriber);
    let app = start(Roles::ALL).await;
    let client = app.db.superuser().await;
    // There is no such mail, so the job fails.
    let nothing = json!({ "kind": "mail.send", "max_attempts": 1 });
    let request = app.request(Method::POST, "/admin/v1/jobs").bearer_auth(&app.service_key);
    let answer = app.send(request.header("x-request-id", "mine-7").json(&nothing)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    until_true(&client, "exists (select from jobs.dead)").await;
    let answered = lines.find("answered", "/admin/v1/jobs").unwrap();
    let died = lines.find("job is dead", "mail.send").unwrap();
    assert_eq!(
        (&answered["fields"]["request_id"], &died["fields"]["request_id"]),
        (&json!("mine-7"), &json!("mine-7"))
    );
}
