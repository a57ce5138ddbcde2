//! The audit log on a real database.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use rowhouse_audit::{Entry, write};
use rowhouse_db::migrate::Migration;
use rowhouse_testkit::TestDatabase;
use serde_json::{Map, Value, json};
use tokio_postgres::{Client, NoTls};

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
        "source": "test", "action": "done", "actor": "system", "operation": "test.do", "request_id": "req-1",
        "tenant_id": null, "target_kind": "thing", "target_id": "7", "address": "192.0.2.1",
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
async fn details_are_bounded_and_entries_are_deleted_by_age_only() {
    let database = start().await;
    let client = owner(&database).await;
    let refused = write(&client, entry(json!({ "k": "x".repeat(9000) }))).await.unwrap_err();
    assert_eq!((refused.code(), refused.constraint()), (Some("23514"), Some("entries_details_check")));
    write(&client, entry(json!({}))).await.unwrap();
    let old = "insert into audit.entries (source, action, actor, target_kind, target_id, occurred_at) \
               values ('test', 'old', 'system', 'thing', '1', now() - interval '2 days')";
    client.batch_execute(old).await.unwrap();
    for change in
        ["update audit.entries set action = 'x'", "delete from audit.entries", "truncate audit.entries"]
    {
        let refused = client.batch_execute(change).await.unwrap_err();
        assert_eq!(refused.code().map(tokio_postgres::error::SqlState::code), Some("42501"), "{change}");
    }
    let prune = "select audit.prune('test', interval '1 day')";
    assert_eq!(client.query_one(prune, &[]).await.unwrap().get::<_, i64>(0), 1);
    assert_eq!(count(&client).await, 1);
}
