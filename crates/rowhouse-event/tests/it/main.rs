//! The outbox on a real database.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::collections::HashMap;

use rowhouse_db::migrate::Migration;
use rowhouse_db::{Control, DbError, DbSettings, Transaction, connect};
use rowhouse_event::{CHANNEL, Cursor, Event, MAX_PAYLOAD_BYTES, emit, read_after};
use rowhouse_kernel::{Operation, TenantId};
use rowhouse_testkit::{LIMIT, TestDatabase, in_time, until};
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

const WRITERS: usize = 10;
const EVENTS: usize = 100;

/// A server of its own: transactions of other tests would hold readers back.
struct Harness {
    _cluster: rowhouse_testkit::Cluster,
    database: TestDatabase,
}

impl Harness {
    async fn start() -> Self {
        let cluster = tokio::task::spawn_blocking(rowhouse_testkit::Cluster::start).await.unwrap();
        let migrations = Migration::embedded(&[rowhouse_db::MIGRATIONS, rowhouse_event::MIGRATIONS]);
        let database = TestDatabase::on_own_cluster_with(&cluster, migrations).await;
        Self { _cluster: cluster, database }
    }

    async fn client(&self) -> Client {
        connect(&self.database.urls.control).await.unwrap()
    }
}

async fn kinds_after(client: &Client, cursor: &mut Cursor) -> Vec<String> {
    let events = read_after(client, *cursor, 1_000).await.unwrap();
    *cursor = events.last().map_or(*cursor, |event| event.cursor);
    events.into_iter().map(|event| event.kind).collect()
}

#[tokio::test]
async fn event_carries_its_operation_and_exists_if_and_only_if_its_transaction_commits() {
    let harness = Harness::start().await;
    let control = Control::open(&harness.database.urls.control, &DbSettings::default()).unwrap();
    let tenant = TenantId(Uuid::from_u128(7));
    let operation = Operation::system("test.emit").for_request(Some("req-1")).in_tenant(Some(tenant));
    for fails in [true, false] {
        let work = async move |tx: &Transaction<'_>| {
            emit(tx, "test.done", None, &json!({ "n": 1 })).await?;
            if fails { Err(DbError::Protocol("no".into())) } else { Ok(()) }
        };
        assert_eq!(control.run_tx(&operation, work).await.is_err(), fails);
    }
    let events = read_after(&harness.client().await, Cursor::default(), 10).await.unwrap();
    let [Event { kind, tenant: of, payload, actor, request_id, .. }] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!((kind.as_str(), *of, payload), ("test.done", Some(tenant), &json!({ "n": 1 })));
    assert_eq!((actor.as_str(), request_id.as_deref()), ("system", Some("req-1")));
}

#[tokio::test]
async fn open_transaction_holds_back_what_comes_after_it_and_nothing_is_skipped() {
    let harness = Harness::start().await;
    let (slow, quick, reader) = tokio::join!(harness.client(), harness.client(), harness.client());
    let mut cursor = Cursor::default();
    // The slow one has the lower number and the higher id.
    slow.batch_execute("begin; select pg_current_xact_id()").await.unwrap();
    emit(&quick, "test.quick", None, &Value::Null).await.unwrap();
    emit(&slow, "test.slow", None, &Value::Null).await.unwrap();
    assert_eq!(kinds_after(&reader, &mut cursor).await, [""; 0]);
    slow.batch_execute("commit").await.unwrap();
    assert_eq!(kinds_after(&reader, &mut cursor).await, ["test.slow", "test.quick"]);

    // This one begins later, takes the lower id and commits last.
    slow.batch_execute("begin; select pg_current_xact_id()").await.unwrap();
    quick.batch_execute("begin; select pg_current_xact_id()").await.unwrap();
    emit(&quick, "test.later", None, &Value::Null).await.unwrap();
    emit(&slow, "test.earlier", None, &Value::Null).await.unwrap();
    slow.batch_execute("commit").await.unwrap();
    assert_eq!(kinds_after(&reader, &mut cursor).await, ["test.earlier"]);
    quick.batch_execute("commit").await.unwrap();
    assert_eq!(kinds_after(&reader, &mut cursor).await, ["test.later"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_ten_writers_are_read_exactly_once_and_in_the_order_of_each() {
    let harness = Harness::start().await;
    let reader = harness.client().await;
    let mut writing = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let client = harness.client().await;
        writing.spawn(async move {
            for number in 0..EVENTS {
                let event = json!({ "writer": writer, "number": number });
                // Every third transaction has more than one event, every sixth is rolled back first.
                if number % 6 == 0 {
                    client.batch_execute("begin").await.unwrap();
                    emit(&client, "test.undone", None, &event).await.unwrap();
                    client.batch_execute("rollback").await.unwrap();
                }
                if number % 3 == 0 {
                    client.batch_execute("begin").await.unwrap();
                }
                emit(&client, "test.done", None, &event).await.unwrap();
                if number % 3 == 1 || number == EVENTS - 1 {
                    client.batch_execute("commit").await.unwrap();
                }
            }
        });
    }
    let mut read: HashMap<u64, Vec<u64>> = HashMap::new();
    let reading = async {
        let (mut cursor, mut total) = (Cursor::default(), 0);
        let all_read = async || {
            for event in read_after(&reader, cursor, 370).await.unwrap() {
                assert!(event.cursor > cursor);
                cursor = event.cursor;
                total += 1;
                let number = |field: &str| event.payload[field].as_u64().unwrap();
                read.entry(number("writer")).or_default().push(number("number"));
            }
            total >= WRITERS * EVENTS
        };
        until("all events are read", LIMIT, all_read).await;
        assert_eq!(read_after(&reader, cursor, 10).await.unwrap(), []);
    };
    reading.await;
    writing.join_all().await;
    let all: Vec<u64> = (0..EVENTS as u64).collect();
    assert_eq!(read.len(), WRITERS);
    assert!(read.values().all(|numbers| *numbers == all), "{read:?}");
}

#[tokio::test]
async fn transaction_notifies_once() {
    use futures_util::StreamExt;
    let harness = Harness::start().await;
    let (client, mut connection) =
        tokio_postgres::connect(harness.database.urls.control.expose(), tokio_postgres::NoTls).await.unwrap();
    let mut messages = futures_util::stream::poll_fn(move |context| connection.poll_message(context));
    let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = messages.next().await {
            if let tokio_postgres::AsyncMessage::Notification(note) = message {
                let _gone = sender.send(note.payload().to_owned());
            }
        }
    });
    client.batch_execute(&format!("listen {CHANNEL}; begin")).await.unwrap();
    for _ in 0..3 {
        emit(&client, "test.done", None, &Value::Null).await.unwrap();
    }
    client.batch_execute(&format!("commit; notify {CHANNEL}, 'end'")).await.unwrap();
    assert_eq!(in_time("a notice", heard.recv()).await.as_deref(), Some(""));
    assert_eq!(in_time("the end", heard.recv()).await.as_deref(), Some("end"));
}

#[tokio::test]
async fn only_service_role_may_emit_and_nobody_reads_changes_or_exceeds_the_bounds() {
    let harness = Harness::start().await;
    let client = harness.client().await;
    let long = Value::String("x".repeat(MAX_PAYLOAD_BYTES));
    for (kind, payload) in [("test.done", &long), ("No kind", &Value::Null)] {
        let error = emit(&client, kind, None, payload).await.unwrap_err();
        assert_eq!(error.code(), Some("23514"), "{error}");
    }
    let admin = harness.database.superuser().await;
    admin.batch_execute("set role service_role; select events.emit('project.done', '{}')").await.unwrap();
    let refused = admin.query("select * from events.outbox", &[]).await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "42501");
    for role in ["anon", "authenticated"] {
        admin.batch_execute(&format!("reset role; set role {role}")).await.unwrap();
        let refused = admin.batch_execute("select events.emit('project.done')").await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "42501", "{role}");
    }
    let changed = client.execute("update events.outbox set kind = 'test.other'", &[]).await.unwrap();
    assert_eq!(changed, 0);
    for (age, removed) in [(3600.0, 0_i64), (0.0, 1)] {
        let row = client.query_one("select events.prune($1)", &[&vec![age]]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), removed, "{age}");
    }
}
