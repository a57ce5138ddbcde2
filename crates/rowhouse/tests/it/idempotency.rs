//! `Idempotency-Key` on the admin API: one effect, whichever process is asked, and what is kept of it.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use rowhouse_testkit::until;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::support::{TestApp, TestResponse};

const LIMIT: Duration = Duration::from_secs(20);

/// Two processes on one database, where `jobs.noop` can be enqueued and stays.
async fn two() -> (TestApp, TestApp, Client) {
    let first = TestApp::start().await;
    let second = TestApp::start_beside(&first).await;
    let client = first.db.superuser().await;
    client.batch_execute("insert into jobs.kinds (name) values ('jobs.noop')").await.unwrap();
    (first, second, client)
}

async fn post(app: &TestApp, token: &str, key: &str, body: Value) -> TestResponse {
    let request = app.request(Method::POST, "/admin/v1/jobs").bearer_auth(token);
    app.send(request.header("idempotency-key", key).json(&body)).await
}

fn noop() -> Value {
    json!({ "kind": "jobs.noop" })
}

async fn count(client: &Client, sql: &str) -> i64 {
    client.query_one(&format!("select count(*) from {sql}"), &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn request_sent_again_to_another_process_has_one_effect() {
    let (first, second, client) = two().await;
    let made = post(&first, &first.service_key, "once", noop()).await;
    let again = post(&second, &first.service_key, "once", noop()).await;
    assert_eq!((made.status, again.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!((&again.text, again.headers["idempotency-replayed"].to_str().unwrap()), (&made.text, "true"));
    assert_eq!(again.headers["content-type"], made.headers["content-type"]);
    let other =
        post(&second, &first.service_key, "once", json!({ "kind": "jobs.noop", "priority": 1 })).await;
    assert_eq!((other.status.as_u16(), &*other.code()), (422, "idempotency_key_reused"));
    assert_eq!(count(&client, "jobs.ready").await, 1);
}

#[tokio::test]
async fn of_many_at_once_in_two_processes_one_has_the_effect() {
    let (first, second, client) = two().await;
    let both = [&first, &second];
    let all = (0..24).map(|n| post(both[n % 2], &first.service_key, "rush", noop()));
    for answer in join_all(all).await {
        let expected = answer.status == StatusCode::CREATED || answer.code() == "idempotency_key_in_use";
        assert!(expected, "{} {}", answer.status, answer.text);
    }
    assert_eq!(count(&client, "jobs.ready").await, 1);
}

#[tokio::test]
async fn answer_is_kept_in_the_transaction_of_its_effect() {
    let (first, _second, client) = two().await;
    post(&first, &first.service_key, "once", noop()).await;
    let same = "rowhouse.idempotency_keys k join jobs.ready r on k.xmin = r.xmin where k.status = 201";
    assert_eq!(count(&client, same).await, 1, "neither is there without the other");
}

/// Whose claim ran out while its request was held up must not have its effect beside the one that came after.
#[tokio::test]
async fn request_that_has_lost_its_key_has_no_effect() {
    let (first, second, client) = two().await;
    let key = first.service_key.clone();
    let blocker = first.db.superuser().await;
    blocker.batch_execute("begin; lock table jobs.ready in exclusive mode").await.unwrap();
    let waiting = "pg_stat_activity where wait_event_type = 'Lock' and query like '%jobs.enqueue%'";
    let (slow, taken_over, ()) = tokio::join!(
        post(&first, &key, "late", noop()),
        async {
            until("the first waits", LIMIT, async || count(&client, waiting).await == 1).await;
            let expire = "update rowhouse.idempotency_keys set expires_at = '2000-01-01'";
            client.batch_execute(expire).await.unwrap();
            post(&second, &key, "late", noop()).await
        },
        async {
            until("both wait", LIMIT, async || count(&client, waiting).await == 2).await;
            blocker.batch_execute("commit").await.unwrap();
        }
    );
    assert_eq!((slow.status.as_u16(), &*slow.code()), (409, "idempotency_key_in_use"));
    assert_eq!(taken_over.status, StatusCode::CREATED, "{}", taken_over.text);
    assert_eq!(count(&client, "jobs.ready").await, 1);
    assert_eq!(post(&first, &key, "late", noop()).await.text, taken_over.text);
}

#[tokio::test]
async fn keys_are_the_caller_s_and_the_tenant_s() {
    let (app, _second, client) = two().await;
    let mut tokens = vec![app.service_key.clone()];
    for name in ["a", "b"] {
        let email = format!("{name}@example.com");
        app.sign_up(&email).await;
        let sql = "update auth.users set role = 'service_role' where email = $1";
        client.execute(sql, &[&email]).await.unwrap();
        let login = json!({ "email": email, "password": "correct horse" });
        let session = app.post(&app.anon_key, "/auth/v1/token?grant_type=password", login).await.json();
        tokens.push(session["access_token"].as_str().unwrap().to_owned());
    }
    for token in &tokens {
        let answer = post(&app, token, "same", noop()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        assert!(!answer.headers.contains_key("idempotency-replayed"));
    }
    assert_eq!(count(&client, "jobs.ready").await, 3);
    let of_tenants = "rowhouse.idempotency_keys where tenant_id is not null and caller like 'user/%'";
    assert_eq!(count(&client, of_tenants).await, 2);
}

#[tokio::test]
async fn refused_callers_leave_nothing_and_mistakes_are_remembered() {
    let (app, _second, client) = two().await;
    let user = app.sign_up("a@example.com").await;
    for token in [&user.token, &app.anon_key] {
        assert!(post(&app, token, "k", noop()).await.status.is_client_error());
    }
    let unknown = app.request(Method::POST, "/admin/v1/nothing").bearer_auth(&user.token);
    app.send(unknown.header("idempotency-key", "k")).await;
    assert_eq!(count(&client, "rowhouse.idempotency_keys").await, 0);
    let wrong = json!({ "kind": "no.such" });
    let refused = post(&app, &app.service_key, "k", wrong.clone()).await;
    assert_eq!(refused.status.as_u16(), 422);
    let again = post(&app, &app.service_key, "k", wrong).await;
    assert_eq!((&again.text, again.headers.contains_key("idempotency-replayed")), (&refused.text, true));
    let long = post(&app, &app.service_key, &"k".repeat(256), noop()).await;
    assert_eq!(long.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn caller_who_was_demoted_gets_no_earlier_answer() {
    let (app, _second, client) = two().await;
    let email = "op@example.com";
    app.sign_up(email).await;
    let set_role = async |role: &str| {
        let sql = "update auth.users set role = $1 where email = $2";
        client.execute(sql, &[&role, &email]).await.unwrap();
    };
    set_role("service_role").await;
    let login = json!({ "email": email, "password": "correct horse" });
    let session = app.post(&app.anon_key, "/auth/v1/token?grant_type=password", login).await.json();
    let token = session["access_token"].as_str().unwrap();
    assert_eq!(post(&app, token, "op-1", noop()).await.status, StatusCode::CREATED);
    assert!(post(&app, token, "op-1", noop()).await.headers.contains_key("idempotency-replayed"));
    set_role("authenticated").await;
    let refused = post(&app, token, "op-1", noop()).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(!refused.headers.contains_key("idempotency-replayed"));
}

#[tokio::test]
async fn what_is_kept_is_bounded_and_forgotten_in_time() {
    let (app, _second, client) = two().await;
    client
        .batch_execute(
            "insert into rowhouse.idempotency_keys (caller, key, request_digest, expires_at, status, body)
             select 'role/service_role', 'old ' || n, repeat('0', 64), now() - interval '1 minute', 200, ''
             from generate_series(1, 10) n;
             insert into rowhouse.idempotency_keys (caller, key, request_digest, expires_at, status, body)
             select 'role/service_role', 'kept ' || n, repeat('0', 64), now() + interval '1 hour' + n * interval '1 second', 200, ''
             from generate_series(1, 5005) n;
             insert into rowhouse.idempotency_keys (caller, key, request_digest, expires_at)
             values ('user/quiet', 'theirs', repeat('0', 64), now() + interval '1 minute')",
        )
        .await
        .unwrap();
    assert_eq!(post(&app, &app.service_key, "new", noop()).await.status, StatusCode::CREATED);
    assert_eq!(count(&client, "rowhouse.idempotency_keys where expires_at < now()").await, 0);
    let of_caller = "rowhouse.idempotency_keys where caller = 'role/service_role'";
    assert_eq!(count(&client, of_caller).await, 5001, "the new one and 5000 others");
    assert_eq!(count(&client, "rowhouse.idempotency_keys where key = 'kept 1'").await, 0, "the oldest went");
    assert_eq!(count(&client, "rowhouse.idempotency_keys where key = 'theirs'").await, 1);
}

#[tokio::test]
async fn no_caller_s_role_reaches_the_keys() {
    let (_app, _second, client) = two().await;
    for role in ["anon", "authenticated", "service_role", "rowhouse_project"] {
        for sql in [
            "select * from rowhouse.idempotency_keys",
            "delete from rowhouse.idempotency_keys",
            "select rowhouse.claim_idempotency_key(null, 'x', 'x', '', now(), now(), 1)",
        ] {
            let refused = client.batch_execute(&format!("begin; set local role {role}; {sql}")).await;
            assert_eq!(refused.unwrap_err().code().unwrap().code(), "42501", "{role}: {sql}");
            client.batch_execute("rollback").await.unwrap();
        }
    }
    let forced = "pg_class where oid = 'rowhouse.idempotency_keys'::regclass and relrowsecurity and relforcerowsecurity";
    assert_eq!(count(&client, forced).await, 1);
}
