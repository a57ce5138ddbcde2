//! The audit log on a real database.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot be set up has failed"
)]

mod chain;
mod prune;
mod read;
mod tamper;

use rowhouse_audit::{Entry, Link, Report, Verification, newest_links, seal, write};
use rowhouse_db::migrate::Migration;
use rowhouse_kernel::OrganizationId;
use rowhouse_testkit::{LIMIT, TestDatabase, until};
use serde_json::{Map, Value, json};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// Two organizations.
const ONE: OrganizationId = OrganizationId(Uuid::from_u128(1));
const OTHER: OrganizationId = OrganizationId(Uuid::from_u128(2));

async fn owner(database: &TestDatabase) -> Client {
    let (client, connection) = tokio_postgres::connect(database.urls.control.expose(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[expect(clippy::needless_pass_by_value, reason = "callers write the value in place")]
fn entry(details: Value) -> Entry<'static> {
    let details = details.as_object().cloned().unwrap_or_else(Map::new);
    Entry { source: "test", action: "done", target_kind: "thing", target_id: "7", tenant: None, details }
}

async fn start() -> TestDatabase {
    let own = Migration::embedded(&[rowhouse_db::MIGRATIONS, rowhouse_audit::MIGRATIONS]);
    TestDatabase::create_with(own).await
}

/// Writes `count` entries about an organization (none for the nil UUID) at a past time, as direct SQL would.
async fn write_old(client: &Client, organization: OrganizationId, count: i64, days: i32) {
    let sql = "insert into audit.entries (source, action, actor, target_kind, target_id, organization_id, occurred_at)
        select 'test', 'done', 'system', 'thing', n::text, nullif($1::uuid, '00000000-0000-0000-0000-000000000000'::uuid),
          clock_timestamp() - make_interval(days => $3)
        from generate_series(1, $2::bigint) n";
    client.execute(sql, &[&organization.0, &count, &days]).await.unwrap();
}

/// Seals all.
async fn seal_all(client: &Client) {
    until("all is sealed", LIMIT, async || seal(client).await.unwrap().sealed == 0).await;
}

async fn verify(client: &Client, only: Option<OrganizationId>, expected: &[Link]) -> Report {
    let mut verification = Verification::begin(client, only).await.unwrap();
    verification.check_links(|_| {}).await.unwrap();
    verification.check_entries().await.unwrap();
    for link in expected {
        verification.expect(link).await.unwrap();
    }
    verification.end().await.unwrap()
}

async fn newest(client: &Client, only: Option<OrganizationId>) -> Vec<Link> {
    use futures_util::TryStreamExt;
    newest_links(client, only).await.unwrap().try_collect().await.unwrap()
}

async fn refusal(client: &Client, sql: &str) -> String {
    let refused = client.batch_execute(sql).await.expect_err(sql);
    refused.code().map(|code| code.code().to_owned()).unwrap_or_default()
}

async fn count(client: &Client) -> i64 {
    client.query_one("select count(*) from audit.entries", &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn entry_exists_if_and_only_if_its_transaction_commits() {
    let database = start().await;
    let client = owner(&database).await;
    for (end, entries) in [("rollback", 0), ("commit", 1)] {
        client.batch_execute("begin; select set_config('rowhouse.actor', 'system', true), \
            set_config('rowhouse.request_id', 'req-1', true), set_config('rowhouse.operation', 'test.do', true), \
            set_config('rowhouse.address', '192.0.2.1', true), set_config('rowhouse.user_agent', 'curl/8', true)").await.unwrap();
        write(&client, entry(json!({ "n": 1 }))).await.unwrap();
        client.batch_execute(end).await.unwrap();
        assert_eq!(count(&client).await, entries, "{end}");
    }
    let sql = "select to_jsonb(e) - 'id' - 'occurred_at' from audit.entries e";
    let written: Value = client.query_one(sql, &[]).await.unwrap().get(0);
    let expected = json!({
        "source": "test", "action": "done", "actor": "system", "impersonator": null, "operation": "test.do", "request_id": "req-1",
        "organization_id": null, "tenant_id": null, "target_kind": "thing", "target_id": "7", "address": "192.0.2.1",
        "user_agent": "curl/8", "details": { "n": 1 },
    });
    assert_eq!(written, expected);
}

#[tokio::test]
async fn direct_sql_by_an_operator_is_recorded_as_such() {
    let database = start().await;
    let client = owner(&database).await;
    write(&client, entry(json!({}))).await.unwrap();
    let row = client.query_one("select actor, session_user::text from audit.entries", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), format!("sql:{}", row.get::<_, String>(1)));
}

#[tokio::test]
async fn details_that_are_too_long_do_not_refuse_what_they_are_of() {
    let database = start().await;
    let client = owner(&database).await;
    write(&client, entry(json!({ "n": 1, "k": "x".repeat(9000) }))).await.unwrap();
    // Each of them fits by its bytes alone.
    write(&client, entry(json!({ "k": vec![1; 4000] }))).await.unwrap();
    let stored =
        client.query("select details::text from audit.entries order by occurred_at", &[]).await.unwrap();
    let stored: Vec<String> = stored.iter().map(|row| row.get(0)).collect();
    assert_eq!(stored, [r#"{"k": {"bytes": 9002}, "n": 1}"#, r#"{"k": {"bytes": 8001}}"#]);
}

#[tokio::test]
async fn details_are_bounded_and_entries_are_deleted_by_age_only() {
    let database = start().await;
    let client = owner(&database).await;
    let long = "select audit.write('test', 'done', 'thing', '7', jsonb_build_object('k', repeat('x', 9000)))";
    assert_eq!(refusal(&client, long).await, "23514");
    write_old(&client, ONE, 1, 2).await;
    write(&client, entry(json!({}))).await.unwrap();
    for change in
        ["update audit.entries set action = 'x'", "delete from audit.entries", "truncate audit.entries"]
    {
        assert_eq!(refusal(&client, change).await, "42501", "{change}");
    }
    let prune = async || {
        let sql = "select audit.prune('{86400, 86400}')";
        client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0)
    };
    assert_eq!(prune().await, 0, "an entry that is not sealed stays");
    seal_all(&client).await;
    assert_eq!((prune().await, prune().await), (1, 0));
    assert_eq!(count(&client).await, 1);
}
