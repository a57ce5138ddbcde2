//! Mails that are sent from SQL.

use rowhouse_module::Roles;
use rowhouse_testkit::{TestDatabase, until_true};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::support::{TestApp, settings};

async fn running() -> TestApp {
    let db = TestDatabase::create().await;
    TestApp::start_as(db, settings(), Roles::ALL).await
}

async fn send(client: &Client, mail: Value) -> Result<i64, tokio_postgres::Error> {
    client.query_one("select mail.send($1)", &[&mail]).await.map(|row| row.get(0))
}

#[tokio::test]
async fn mail_of_a_trigger_is_sent_if_its_transaction_commits() {
    let app = running().await;
    let client = app.db.superuser().await;
    let tenant = "00000000-0000-7000-8000-000000000007";
    client
        .batch_execute("set role rowhouse_project; select set_config('rowhouse.request_id', 'req-9', false)")
        .await
        .unwrap();
    let mail = |name: &str| json!({ "to": "ada@b.example", "template": "welcome", "language": "de", "data": { "name": name }, "tenant": tenant });
    client.batch_execute("begin").await.unwrap();
    send(&client, mail("Nobody")).await.unwrap();
    client.batch_execute("rollback").await.unwrap();
    send(&client, mail("Ada")).await.unwrap();
    client.batch_execute("reset role").await.unwrap();
    until_true(&client, "exists (select from mail.messages) and not exists (select from jobs.leases)").await;
    let sql = "select subject, kind, tenant::text, request_id from mail.messages";
    let rows = client.query(sql, &[]).await.unwrap();
    let found: Vec<[String; 4]> = rows.iter().map(|row| [0, 1, 2, 3].map(|column| row.get(column))).collect();
    assert_eq!(found, [["Willkommen, Ada", "welcome", tenant, "req-9"].map(str::to_owned)]);
    let drafts: i64 = client.query_one("select count(*) from mail.drafts", &[]).await.unwrap().get(0);
    assert_eq!(drafts, 0);
}

#[tokio::test]
async fn mail_that_cannot_be_rendered_is_a_dead_job_with_the_reason() {
    let app = running().await;
    let client = app.db.superuser().await;
    for (mail, says) in [
        (json!({ "to": "no address", "text": "T" }), "to: \"no address\" is no mail address"),
        (json!({ "to": "a@b.example", "template": "wellcome" }), "template: there is no \"wellcome\""),
        (
            json!({ "to": "a@b.example", "subject": "a\r\nBcc: x@b.example", "text": "T" }),
            "subject: line breaks",
        ),
        (json!({ "to": "a@b.example", "text": 7 }), "invalid type"),
    ] {
        let job = send(&client, mail).await.unwrap();
        until_true(&client, &format!("exists (select from jobs.dead where id = {job})")).await;
        let error: String =
            client.query_one("select error from jobs.dead where id = $1", &[&job]).await.unwrap().get(0);
        assert!(error.contains(says), "{says}: {error}");
    }
}

#[tokio::test]
async fn malformed_mail_fails_in_the_calling_statement() {
    let db = TestDatabase::create().await;
    let client = db.superuser().await;
    for (mail, code, says) in [
        (json!([]), "22023", "a mail is a JSON object"),
        (Value::Null, "22023", "a mail is a JSON object"),
        (json!({ "too": "a@b.example" }), "22023", "a mail has no \"too\""),
        (json!({ "text": "T" }), "22023", "a mail goes to somebody"),
        (json!({ "to": "a@b.example", "text": "x".repeat(1_100_000) }), "54000", "at most 1048576 bytes"),
    ] {
        let error = send(&client, mail).await.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), code);
        assert!(error.message().contains(says), "{}", error.message());
    }
}

#[tokio::test]
async fn users_cannot_send_unless_the_project_allows_it() {
    let app = running().await;
    let client = app.db.superuser().await;
    for role in ["anon", "authenticated"] {
        client.batch_execute(&format!("set role {role}")).await.unwrap();
        let error = send(&client, json!({ "to": "a@b.example", "text": "T" })).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42501", "{role}");
        client.batch_execute("reset role").await.unwrap();
    }
    // Nor by enqueueing the job: it refers to a draft that only the function writes.
    let forged = "select jobs.enqueue('mail.write', '{\"draft\": 1, \"message\": {\"to\": \"a@b.example\", \"text\": \"T\"}}')";
    client.batch_execute(&format!("set role rowhouse_project; {forged}; reset role")).await.unwrap();
    until_true(&client, "exists (select from jobs.done)").await;
    let sent: i64 = client.query_one("select count(*) from mail.messages", &[]).await.unwrap().get(0);
    assert_eq!(sent, 0);
    // A project function decides for them, and the mail belongs to their tenant whatever it specifies.
    let project = "set role rowhouse_project; \
        create function public.invite(address text) returns bigint language sql security definer as \
        $$ select mail.send(jsonb_build_object('to', address, 'text', 'Come', 'tenant', '00000000-0000-7000-8000-000000000008')) $$; \
        reset role; select set_config('request.jwt.claims', '{\"tenant_id\": \"00000000-0000-7000-8000-000000000007\"}', false); \
        set role authenticated; select public.invite('ada@b.example'); reset role";
    client.batch_execute(project).await.unwrap();
    until_true(&client, "exists (select from mail.messages)").await;
    let tenant: String =
        client.query_one("select tenant::text from mail.messages", &[]).await.unwrap().get(0);
    assert_eq!(tenant, "00000000-0000-7000-8000-000000000007");
}
