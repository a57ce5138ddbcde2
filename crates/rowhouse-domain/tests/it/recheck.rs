//! Proofs of verified domains, looked for again.

use rowhouse_domain::Rechecked;
use rowhouse_testkit::Receiver;

use crate::support::{Harness, TOKEN};

const OWNER: &str = "owner@example.com";

fn file(text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}", text.len())
}

fn proof() -> String {
    format!("rowhouse-domain={TOKEN}")
}

#[tokio::test]
async fn each_proof_is_found_where_it_is_published() {
    let harness = Harness::new().await;
    let mut server = Receiver::start(&[&file(&format!("other\n{}\n", proof()))]).await;
    for (name, kind) in [("a.example", "dns_txt"), ("b.example", "dns_cname"), ("c.example", "http")] {
        harness.claim(name, kind).await;
    }
    harness.names.set("_rowhouse-domain.a.example", "TXT", &["v=spf1 -all", &proof()]);
    let alias = format!("{TOKEN}.domains.app.example");
    harness.names.set(&format!("_rowhouse-{TOKEN}.b.example"), "CNAME", &[&alias]);
    harness.names.set("c.example", "A", &["127.0.0.1"]);
    let done = harness.run_at(server.port, true).await;
    assert_eq!(done, Rechecked { checked: 3, failing: 0, failed: 0 });
    let asked = server.next().await;
    assert!(asked.head.starts_with("GET /.well-known/rowhouse-domain.txt "), "{asked:?}");
    assert!(asked.header("host").starts_with("c.example:"), "{asked:?}");
    for name in ["a.example", "b.example", "c.example", "A.Example."] {
        assert_eq!(harness.owner_of(name).await, Some(harness.tenant), "{name}");
    }
    assert_eq!(harness.owner_of("x.a.example").await, None);
    assert_eq!(harness.events().await, [""; 0]);
}

#[tokio::test]
async fn missing_proof_loses_the_domain_after_the_grace_and_its_owner_is_told() {
    let harness = Harness::new().await;
    let claim = harness.claim("a.example", "dns_txt").await;
    harness.names.set("_rowhouse-domain.a.example", "TXT", &["rowhouse-domain=other"]);
    assert_eq!(harness.run().await, Rechecked { checked: 1, failing: 1, failed: 0 });
    let why = "_rowhouse-domain.a.example has another TXT record";
    assert_eq!(harness.state(claim).await, ("verified".to_owned(), Some(why.to_owned())));
    assert_eq!(harness.letters(OWNER).await, ["The proof of a.example is missing"]);
    // Often enough, but within the grace; and found again in between.
    for _ in 0..4 {
        assert_eq!(harness.run().await, Rechecked { checked: 1, failing: 0, failed: 0 });
    }
    harness.names.set("_rowhouse-domain.a.example", "TXT", &[&proof()]);
    harness.run().await;
    assert_eq!(harness.state(claim).await, ("verified".to_owned(), None));
    harness.names.set("_rowhouse-domain.a.example", "TXT", &[]);
    let grace = "update domains.claims set failing_since = failing_since - interval '4 days'";
    assert_eq!(harness.run().await.failing, 1);
    harness.client.batch_execute(grace).await.unwrap();
    assert_eq!(harness.run().await.failed, 0, "two checks are not enough");
    assert_eq!(harness.run().await.failed, 1);
    let why = "_rowhouse-domain.a.example has no TXT record";
    assert_eq!(harness.state(claim).await, ("failed".to_owned(), Some(why.to_owned())));
    assert_eq!(harness.owner_of("a.example").await, None);
    let told = ["The proof of a.example is missing"; 2];
    assert_eq!(harness.letters(OWNER).await, [told[0], told[1], "a.example is not verified any more"]);
    let kinds = ["domains.domain_failing", "domains.domain_failing", "domains.domain_failed"];
    assert_eq!(harness.events().await, kinds);
    assert_eq!(harness.run().await, Rechecked::default(), "a failed one is not due");
}

#[tokio::test]
async fn silence_is_not_an_answer_until_it_lasts() {
    let harness = Harness::new().await;
    let claim = harness.claim("a.example", "dns_txt").await;
    harness.names.fail(true);
    for _ in 0..4 {
        assert_eq!(harness.run().await, Rechecked { checked: 1, failing: 0, failed: 0 });
    }
    assert_eq!(harness.state(claim).await.0, "verified");
    let sql = "update domains.claims set unanswered_since = unanswered_since - interval '31 days'";
    harness.client.batch_execute(sql).await.unwrap();
    assert_eq!(harness.run().await.failed, 1);
    assert_eq!(harness.state(claim).await.0, "failed");
}

#[tokio::test]
async fn file_is_fetched_neither_from_private_addresses_nor_where_a_redirect_leads() {
    let harness = Harness::new().await;
    let claim = harness.claim("c.example", "http").await;
    let mut honest = Receiver::start(&[&file(&proof())]).await;
    harness.names.set("c.example", "A", &["127.0.0.1"]);
    assert_eq!(harness.run_at(honest.port, false).await, Rechecked { checked: 1, failing: 0, failed: 0 });
    let (_, error) = harness.state(claim).await;
    assert!(error.as_ref().is_some_and(|error| error.contains("private address")), "{error:?}");
    assert!(honest.take().is_empty(), "nobody was asked");
    let location = format!("http://c.example:{}/.well-known/rowhouse-domain.txt", honest.port);
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    let elsewhere = Receiver::start(&[&redirect]).await;
    assert_eq!(harness.run_at(elsewhere.port, true).await.failing, 1);
    let (_, error) = harness.state(claim).await;
    assert!(error.as_ref().is_some_and(|error| error.ends_with("answers with status 302")), "{error:?}");
    assert!(honest.take().is_empty(), "the redirect was not followed");
}

#[tokio::test]
async fn page_that_repeats_what_it_was_asked_for_proves_nothing() {
    let harness = Harness::new().await;
    harness.claim("c.example", "http").await;
    harness.names.set("c.example", "A", &["127.0.0.1"]);
    let page = Receiver::start(&[&file(&format!("<p>no such page: {}</p>", proof()))]).await;
    assert_eq!(harness.run_at(page.port, true).await.failing, 1);
    // What is beyond 64 KiB is not read.
    let long = file(&format!("{}\n{}\n", "x".repeat(70_000), proof()));
    let page = Receiver::start(&[&long]).await;
    assert_eq!(harness.run_at(page.port, true).await, Rechecked { checked: 1, failing: 0, failed: 0 });
    let sql = "select failures from domains.claims";
    assert_eq!(harness.client.query_one(sql, &[]).await.unwrap().get::<_, i32>(0), 2);
}

#[tokio::test]
async fn old_letter_has_to_be_answered_again() {
    let harness = Harness::new().await;
    let claim = harness.claim("m.example", "mail").await;
    assert_eq!(harness.run().await, Rechecked { checked: 1, failing: 1, failed: 0 });
    assert_eq!(harness.letters("postmaster@m.example").await, ["Confirm the use of m.example"]);
    assert_eq!(harness.letters(OWNER).await, ["The proof of m.example is missing"]);
    assert_eq!(harness.state(claim).await.0, "verified");
    harness.run().await;
    assert_eq!(harness.letters("postmaster@m.example").await.len(), 1, "one letter is enough");
}
