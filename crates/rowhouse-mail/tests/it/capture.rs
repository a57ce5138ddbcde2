//! The mailbox of captured mails over its routes. Leaves Mailpit's client to `clients/mailpit`.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use rowhouse_db::{Control, DbSettings};
use rowhouse_http::limit::Rates;
use rowhouse_kernel::SystemClock;
use rowhouse_mail::{Capture, Intake, MailSettings, Waker, capture_router};
use serde_json::Value;
use tower::ServiceExt;

use crate::support::{TestMail, mailer};

fn mailbox(post: &TestMail) -> Router {
    let control = Control::open(&post.db.urls.control, &DbSettings::default()).unwrap();
    let waker: Waker = Arc::new(|| ());
    let (intake, _committers) = Intake::new(&mailer(MailSettings::default()), &control, &waker);
    let (rates, clock) = (Rates::in_memory(Arc::new(SystemClock)), Arc::new(SystemClock));
    capture_router(Capture::new(control, intake, rates, clock))
}

async fn ask(mailbox: &Router, method: &str, path: &str, body: &str) -> (u16, String) {
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    let response = mailbox.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// The number of mails that match.
async fn count(mailbox: &Router, query: &str) -> Value {
    let (_, found) = ask(mailbox, "GET", &format!("/api/v1/search?query={query}"), "").await;
    serde_json::from_str::<Value>(&found).unwrap()["messages_count"].clone()
}

#[tokio::test]
async fn latest_is_the_newest_and_looking_at_a_message_marks_it_as_read() {
    let post = TestMail::new(MailSettings::default()).await;
    let mailbox = mailbox(&post);
    assert_eq!(ask(&mailbox, "GET", "/api/v1/message/latest", "").await.0, 404);
    for address in ["ada@b.example", "bob@b.example"] {
        post.send(address).await;
    }
    assert_eq!(ask(&mailbox, "GET", "/view/latest.txt", "").await.0, 200);
    assert_eq!(count(&mailbox, "is:unread").await, 2, "a view does not mark");
    let (status, latest) = ask(&mailbox, "GET", "/api/v1/message/latest", "").await;
    assert!(status == 200 && latest.contains("bob@b.example"), "{latest}");
    assert_eq!([count(&mailbox, "is:read").await, count(&mailbox, "is:read%20to:bob").await], [1, 1]);
    let (status, page) = ask(&mailbox, "GET", "/view/latest.html", "").await;
    assert!(status == 200 && page.contains("Hello"), "text is shown where there is no HTML: {page}");
    assert_eq!(ask(&mailbox, "GET", "/livez", "").await, (200, "ok".to_owned()));
}

#[tokio::test]
async fn mails_that_a_search_finds_are_marked_and_deleted() {
    let post = TestMail::new(MailSettings::default()).await;
    let mailbox = mailbox(&post);
    for address in ["ada@b.example", "bob@b.example"] {
        post.send(address).await;
    }
    let body = r#"{"Read": true, "Search": "to:ada"}"#;
    assert_eq!(ask(&mailbox, "PUT", "/api/v1/messages", body).await.0, 200);
    assert_eq!([count(&mailbox, "is:read").await, count(&mailbox, "is:read%20to:ada").await], [1, 1]);
    assert_eq!(ask(&mailbox, "DELETE", "/api/v1/search?query=is:read", "").await.0, 200);
    assert_eq!([count(&mailbox, "to:ada").await, count(&mailbox, "to:bob").await], [0, 1]);
}

#[tokio::test]
async fn search_looks_at_the_newest_10000() {
    let post = TestMail::new(MailSettings::default()).await;
    let mailbox = mailbox(&post);
    post.send("ada@b.example").await;
    let fill = "insert into mail.messages (message_id, envelope_from, sender, subject, mime) \
                select 'm' || n, 'a@x.example', 'a@x.example', 'x', convert_to(E'Subject: x\\r\\n\\r\\nx', 'UTF8') \
                from generate_series(1, $1::int) n";
    post.client.execute(fill, &[&9_999]).await.unwrap();
    assert_eq!(count(&mailbox, "subject:hello").await, 1);
    let one_more = fill.replace("'m' ||", "'n' ||");
    post.client.execute(one_more.as_str(), &[&1]).await.unwrap();
    assert_eq!([count(&mailbox, "subject:hello").await, count(&mailbox, "subject:x").await], [0, 10_000]);
}
