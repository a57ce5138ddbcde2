//! The project's hook over HTTP.

use rowhouse_kernel::Secret;
use rowhouse_provision::ProvisionSettings;
use rowhouse_testkit::Receiver;
use serde_json::{Value, json};

use crate::support::{Harness, settings};

const FAILS: &str = "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const DONE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
const REFUSES: &str = "HTTP/1.1 422 No\r\ncontent-length: 7\r\nconnection: close\r\n\r\nno such";

fn posting_to(service: &Receiver, max_attempts: u32) -> ProvisionSettings {
    ProvisionSettings {
        hook: Some(format!("http://127.0.0.1:{}/tenants", service.port)),
        hook_secret: Some(Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")),
        max_attempts,
        ..settings()
    }
}

#[tokio::test]
async fn service_is_told_until_it_has_understood() {
    let mut service = Receiver::start(&[FAILS, DONE]).await;
    let harness = Harness::new(posting_to(&service, 5)).await;
    let tenant = harness.tenant(true).await;
    harness.work().await;
    assert_eq!(harness.state(tenant).await.0, "done");
    let calls = service.take();
    assert_eq!(calls.len(), 2);
    for call in calls {
        assert!(call.head.starts_with("POST /tenants HTTP/1.1"), "{call:?}");
        assert_eq!(call.header("webhook-id"), format!("provision_{tenant}"), "the same for every repetition");
        assert!(call.header("webhook-signature").starts_with("v1,"));
        let body: Value = serde_json::from_str(&call.body).unwrap();
        assert_eq!((&body["type"], &body["tenant"]["slug"]), (&json!("provision"), &json!("sales")));
    }
}

/// Whether a call that failed has had an effect is not known here, so it is taken back, too.
#[tokio::test]
async fn service_that_refuses_is_told_to_take_it_back() {
    let mut service = Receiver::start(&[REFUSES, FAILS, DONE]).await;
    let harness = Harness::new(posting_to(&service, 5)).await;
    let tenant = harness.tenant(true).await;
    harness.work().await;
    let (status, steps) = harness.state(tenant).await;
    assert_eq!((status.as_str(), steps[4].as_str()), ("undone", "undone"));
    let ids: Vec<String> = service.take().iter().map(|call| call.header("webhook-id").to_owned()).collect();
    assert_eq!(ids, [format!("provision_{tenant}"), format!("undo_{tenant}"), format!("undo_{tenant}")]);
    assert_eq!(harness.shown(tenant).await["error"], json!("hook: HTTP 422: no such"));
    assert_eq!(harness.leftovers(tenant).await, "0");
}

#[tokio::test]
async fn function_and_plan_that_do_not_exist_are_named() {
    let harness = Harness::new(settings()).await;
    let found = async |settings: &ProvisionSettings| {
        let mistakes = rowhouse_provision::mistakes(&harness.client, settings).await.unwrap();
        mistakes.iter().map(|mistake| mistake.split(';').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found(&settings()).await, Vec::<String>::new());
    let wrong = ProvisionSettings {
        hook: Some("pg-functions://postgres/public/nobody".to_owned()),
        plan: Some("gold".to_owned()),
        ..settings()
    };
    let function = "there is no function \"public\".\"nobody\"(event jsonb) returns jsonb";
    let expected =
        [format!("provisioning.hook: {function}"), "provisioning.plan: there is no plan \"gold\"".to_owned()];
    assert_eq!(found(&wrong).await, expected);
    harness.client.execute("insert into tenancy.plans (name) values ('gold')", &[]).await.unwrap();
    assert_eq!(found(&wrong).await, expected[..1]);
}
