//! Webhooks against a real server on loopback, which checks what it receives.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rowhouse_db::{Control, DbSettings};
use rowhouse_jobs::outbound::Outbound;
use rowhouse_jobs::{Registry, Worker, WorkerParts};
use rowhouse_kernel::{Secret, SystemClock, SystemRng};
use rowhouse_mail::MailSettings;
use rowhouse_mail::{MailError, Webhook};
use rowhouse_testkit::{Received, Receiver, until_true};
use serde_json::Value;
use tokio_postgres::Client;

use crate::peer::Peer;
use crate::support::TestMail;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Verifies the signature as a receiver does.
fn is_signed(request: &Received) -> bool {
    let key = STANDARD.decode(SECRET.trim_start_matches("whsec_")).unwrap();
    let (id, timestamp) = (request.header("webhook-id"), request.header("webhook-timestamp"));
    let signed = format!("{id}.{timestamp}.{}", request.body);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes());
    request.header("webhook-signature") == format!("v1,{}", STANDARD.encode(tag.as_ref()))
}

fn url(receiver: &Receiver) -> String {
    format!("http://127.0.0.1:{}/hook", receiver.port)
}

fn settings(url: String, rest: MailSettings) -> MailSettings {
    MailSettings { webhook_url: Some(url), webhook_secret: Some(Secret::new(SECRET)), ..rest }
}

fn webhook(post: &TestMail, settings: &MailSettings) -> (Webhook, Control) {
    let control =
        Control::open(&post.db.urls.control, &DbSettings { control_pool_size: 8, ..DbSettings::default() })
            .unwrap();
    let outbound = Outbound::new(true).unwrap();
    (Webhook::new(control.clone(), settings, outbound, Arc::new(SystemClock)).unwrap(), control)
}

/// A worker that runs webhook jobs only.
async fn worker(webhook: &Webhook, control: &Control) -> Worker {
    let mut registry = Registry::new();
    webhook.register(&mut registry);
    let parts = WorkerParts {
        control: control.clone(),
        registry,
        concurrency: 5,
        release: "1.0.0".to_owned(),
        clock: Arc::new(SystemClock),
        rng: Arc::new(SystemRng),
    };
    Worker::start(parts).await.unwrap()
}

async fn webhooks(client: &Client) -> i64 {
    let sql = "select count(*) from jobs.ready r join jobs.partitions l on l.id = r.partition where l.kind = 'mail.webhook'";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn every_outcome_is_posted_once_and_signed() {
    let peer = Peer::plain().await;
    let mut receiver = Receiver::with_statuses(&[204]).await;
    let settings = settings(url(&receiver), peer.settings());
    let post = TestMail::new(settings.clone()).await;
    let (webhook, control) = webhook(&post, &settings);
    webhook.declare().await.unwrap();
    webhook.declare().await.unwrap();
    for address in
        ["ada@b.example", "nobody@b.example", "Nobody@b.example", "spam@b.example", "later@b.example"]
    {
        let recipient = post.send(address).await.recipients[0].0;
        let _delayed = post.deliver(recipient).await;
    }
    assert_eq!(webhooks(&post.client).await, 5);
    let worker = worker(&webhook, &control).await;
    let mut seen = Vec::new();
    for _ in 0..5 {
        let request = receiver.next().await;
        assert!(is_signed(&request), "{request:?}");
        let body: Value = serde_json::from_str(&request.body).unwrap();
        let (data, id) = (&body["data"], request.header("webhook-id"));
        seen.push((id.to_owned(), body["type"].clone(), data["address"].clone(), data["reply"].clone()));
    }
    seen.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [
        ("sent", "ada@b.example", "250 2.0.0 taken"),
        ("bounced", "nobody@b.example", "550 5.1.1 no such user here"),
        ("suppressed", "Nobody@b.example", "the address is suppressed"),
        ("failed", "spam@b.example", "550 5.7.1 refused as spam"),
        ("delayed", "later@b.example", "451 4.7.1 greylisted, try again in 300 seconds"),
    ];
    for (place, (event, address, reply)) in expected.into_iter().enumerate() {
        let expected = (
            format!("mail_event_{}", place + 1),
            format!("mail.{event}").into(),
            address.into(),
            reply.into(),
        );
        assert_eq!(seen[place], expected);
    }
    worker.stop(Duration::from_secs(10)).await;
    assert_eq!(receiver.take(), [], "nothing was told twice");
}

#[tokio::test]
async fn refused_webhook_is_sent_again_as_the_same_message() {
    let peer = Peer::plain().await;
    let mut receiver = Receiver::with_statuses(&[500, 200]).await;
    let settings = settings(url(&receiver), peer.settings());
    let post = TestMail::new(settings.clone()).await;
    let (webhook, control) = webhook(&post, &settings);
    webhook.declare().await.unwrap();
    post.client.batch_execute("select set_config('rowhouse.request_id', 'req-7', false)").await.unwrap();
    let recipient = post.send("ada@b.example").await.recipients[0].0;
    post.deliver(recipient).await.unwrap();
    let worker = worker(&webhook, &control).await;
    let first = receiver.next().await;
    until_true(&post.client, "exists (select from jobs.scheduled)").await;
    post.client.batch_execute("update jobs.scheduled set run_at = clock_timestamp()").await.unwrap();
    let second = receiver.next().await;
    assert!(is_signed(&first) && is_signed(&second));
    assert_eq!((first.header("webhook-id"), &first.body), (second.header("webhook-id"), &second.body));
    until_true(
        &post.client,
        "not exists (select from jobs.leases) and not exists (select from jobs.scheduled)",
    )
    .await;
    worker.stop(Duration::from_secs(10)).await;
    let dead: i64 = post.client.query_one("select count(*) from jobs.dead", &[]).await.unwrap().get(0);
    assert_eq!(dead, 0);
}

#[tokio::test]
async fn webhook_that_is_gone_is_a_dead_job_and_others_are_tried_for_a_day() {
    let peer = Peer::plain().await;
    let mut receiver = Receiver::with_statuses(&[410]).await;
    let settings = settings(url(&receiver), peer.settings());
    let post = TestMail::new(settings.clone()).await;
    let (webhook, control) = webhook(&post, &settings);
    webhook.declare().await.unwrap();
    let recipient = post.send("ada@b.example").await.recipients[0].0;
    post.deliver(recipient).await.unwrap();
    let worker = worker(&webhook, &control).await;
    receiver.next().await;
    until_true(&post.client, "exists (select from jobs.dead where error like '%410%')").await;
    worker.stop(Duration::from_secs(10)).await;
    assert_eq!(receiver.take(), [], "asked once");

    let mut registry = Registry::new();
    webhook.register(&mut registry);
    let (kind, _) = registry.get("mail.webhook").unwrap();
    let all: Duration = (1..kind.max_attempts).map(|attempt| kind.pause(attempt)).sum();
    assert_eq!((kind.max_attempts, all.as_secs() / 3600), (12, 22));
    let sql = "select concurrency from jobs.queues where name = 'mail.webhook'";
    assert_eq!(post.client.query_one(sql, &[]).await.unwrap().get::<_, i32>(0), 10);
}

#[tokio::test]
async fn rolled_back_event_is_not_posted_nor_any_without_a_url() {
    let settings = settings("http://127.0.0.1:1/".to_owned(), MailSettings::default());
    let post = TestMail::new(settings.clone()).await;
    let (webhook, _control) = webhook(&post, &settings);
    let recipient = post.send("ada@b.example").await.recipients[0].0;
    let event = "insert into mail.events (recipient, event, attempt) values ($1, $2, 1)";
    post.client.execute(event, &[&recipient, &"sent"]).await.unwrap();
    assert_eq!(webhooks(&post.client).await, 0, "nobody is to be told");
    webhook.declare().await.unwrap();
    post.client.batch_execute("begin").await.unwrap();
    post.client.execute(event, &[&recipient, &"sent"]).await.unwrap();
    assert_eq!(webhooks(&post.client).await, 1);
    post.client.batch_execute("rollback").await.unwrap();
    post.client.execute(event, &[&recipient, &"captured"]).await.unwrap();
    assert_eq!(webhooks(&post.client).await, 0);
    post.client.execute(event, &[&recipient, &"failed"]).await.unwrap();
    assert_eq!(webhooks(&post.client).await, 1);
    let nobody = self::webhook(&post, &MailSettings::default()).0;
    nobody.declare().await.unwrap();
    post.client.execute(event, &[&recipient, &"failed"]).await.unwrap();
    assert_eq!(webhooks(&post.client).await, 1);
}

#[tokio::test]
async fn webhook_without_a_secret_is_refused() {
    let settings = settings("http://127.0.0.1:1/".to_owned(), MailSettings::default());
    let post = TestMail::new(MailSettings::default()).await;
    let control = Control::open(&post.db.urls.control, &DbSettings::default()).unwrap();
    let settings = MailSettings { webhook_secret: None, ..settings };
    let refused = Webhook::new(control, &settings, Outbound::new(true).unwrap(), Arc::new(SystemClock));
    assert!(matches!(refused, Err(MailError::Unusable(why)) if why.starts_with("mail.webhook_secret: ")));
}
