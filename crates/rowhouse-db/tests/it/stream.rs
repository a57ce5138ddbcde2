//! Streamed results and imports: complete or failed, and their connection is released.

use std::time::Duration;

use bytes::Bytes;
use rowhouse_db::flight::{End, Import, Pieces, Query, RequestContext, Value};
use rowhouse_db::{DbError, DbSettings};
use rowhouse_kernel::Caller;

use crate::support::{Harness, context, one_connection};

const BACKEND: &str = "select pg_backend_pid()::text";

fn query(sql: &str) -> Query {
    Query { sql: sql.into(), params: Vec::new() }
}

fn insert(rows: &str) -> Query {
    let sql = "with new as (insert into public.marks select n from json_to_recordset($1::json) as _(n int) \
               returning n) select count(*)::text from new";
    Query { sql: sql.into(), params: vec![Some(Bytes::copy_from_slice(rows.as_bytes()))] }
}

async fn rest(mut pieces: Pieces) -> Result<Vec<u8>, DbError> {
    let mut all = Vec::new();
    while let Some(piece) = pieces.next().await? {
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

async fn with_marks(settings: DbSettings) -> Harness {
    let harness = Harness::new(settings).await;
    let sql = "create table public.marks (n int unique deferrable initially deferred); \
               grant all on public.marks to anon, authenticated";
    harness.db.migrate(sql).await;
    harness
}

async fn marks(harness: &Harness) -> i64 {
    harness.db.superuser().await.query_one("select count(*) from public.marks", &[]).await.unwrap().get(0)
}

async fn import<'a>(harness: &Harness, context: &RequestContext<'a>, rows: &str) -> Result<Import, DbError> {
    harness.database.data.import(context, &insert(rows)).await
}

#[tokio::test]
async fn lines_are_streamed_in_order_and_complete() {
    let harness = Harness::new(one_connection()).await;
    let anon = Caller::anonymous();
    let (head, rows) = (query("select 'head'"), query("select n::text from generate_series(1, 200000) n"));
    let lines = harness.database.data.fly_lines(&context(&anon), &head, &rows).await.unwrap();
    assert_eq!(lines.head[0][0].as_deref(), Some(b"head".as_slice()));
    let mut all = lines.first.to_vec();
    all.extend(rest(lines.rest.unwrap()).await.unwrap());
    let expected: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
    assert!(all == expected.as_bytes(), "{} bytes", all.len());
    assert_eq!(harness.text(&anon, "select 'again'").await.unwrap(), "again");
}

#[tokio::test]
async fn short_result_is_returned_at_once_and_releases_the_connection() {
    let harness = Harness::new(one_connection()).await;
    let anon = Caller::anonymous();
    let (head, rows) = (query("select 'head'"), query("select n::text from generate_series(1, 3) n"));
    let lines = harness.database.data.fly_lines(&context(&anon), &head, &rows).await.unwrap();
    assert_eq!(&lines.first[..], b"1\n2\n3\n");
    assert!(lines.rest.is_none());
    assert_eq!(harness.text(&anon, "select 'free'").await.unwrap(), "free");
}

#[tokio::test]
async fn error_with_the_first_lines_is_an_error_and_a_later_one_breaks_the_stream() {
    let harness = Harness::new(one_connection()).await;
    let anon = Caller::anonymous();
    let failing =
        |at: u32| query(&format!("select (1 / ({at} - n))::text from generate_series(1, 200000) n"));
    let early = harness.database.data.fly_lines(&context(&anon), &query("select 1"), &failing(5)).await;
    assert_eq!(early.err().unwrap().code(), Some("22012"));
    let late = harness.database.data.fly_lines(&context(&anon), &query("select 1"), &failing(190_000)).await;
    let error = rest(late.unwrap().rest.unwrap()).await.unwrap_err();
    assert_eq!(error.code(), Some("22012"));
    assert_eq!(harness.text(&anon, "select 'fine'").await.unwrap(), "fine");
}

#[tokio::test]
async fn dropped_reader_releases_the_connection() {
    let harness = Harness::new(one_connection()).await;
    let anon = Caller::anonymous();
    let endless = query("select generate_series(1, 1000000000)::text");
    for _ in 0..3 {
        let lines = harness.database.data.fly_lines(&context(&anon), &query("select 1"), &endless).await;
        drop(lines.unwrap());
        assert_eq!(harness.text(&anon, "select 'free'").await.unwrap(), "free");
    }
}

#[tokio::test]
async fn long_value_is_streamed_in_pieces_of_the_announced_length() {
    let harness = Harness::new(one_connection()).await;
    let anon = Caller::anonymous();
    let long = query("select '7', null, repeat('x', 20000000)");
    let value = harness.database.data.fly_value(&context(&anon), &long).await.unwrap();
    let Value::Long(leading, length, pieces) = value else { panic!("20 MB at once") };
    assert_eq!(leading, [Some(Bytes::from_static(b"7")), None]);
    assert_eq!(length, 20_000_000);
    let all = rest(*pieces).await.unwrap();
    assert!(all.len() == length && all.iter().all(|byte| *byte == b'x'));
    let backend = harness.text(&anon, BACKEND).await.unwrap();
    // Dropped within the value: the unread rest must not be taken for the next answer.
    drop(harness.database.data.fly_value(&context(&anon), &long).await.unwrap());
    assert_ne!(harness.text(&anon, BACKEND).await.unwrap(), backend);
}

#[tokio::test]
async fn short_and_null_values_are_not_streamed() {
    let harness = Harness::new(one_connection()).await;
    let anon = Caller::anonymous();
    for (sql, last) in [
        ("select '7', 'short'", Some("short")),
        ("select repeat('x', 6000000), null", None),
        ("select repeat('x', 6000000), 'y'", Some("y")),
    ] {
        let value = harness.database.data.fly_value(&context(&anon), &query(sql)).await.unwrap();
        let Value::Whole(rows) = value else { panic!("{sql} in pieces") };
        assert_eq!(rows[0][1].as_deref(), last.map(str::as_bytes), "{sql}");
    }
    let wrong = harness.database.data.fly_value(&context(&anon), &query("select 1/0")).await;
    assert_eq!(wrong.err().unwrap().code(), Some("22012"));
}

#[tokio::test]
async fn import_is_one_transaction() {
    let harness = with_marks(one_connection()).await;
    let anon = Caller::anonymous();
    let whole = context(&anon);
    let mut import = import(&harness, &whole, r#"[{"n":1},{"n":2}]"#).await.unwrap();
    import.batch(&insert(r#"[{"n":3}]"#)).await.unwrap();
    assert_eq!(marks(&harness).await, 0, "nothing is seen before the end");
    let rows = import.finish().await.unwrap();
    let counts: Vec<_> = rows.iter().map(|row| row[0].as_deref().unwrap()).collect();
    assert_eq!(counts, [b"2", b"1"]);
    assert_eq!(marks(&harness).await, 3);
    assert_eq!(harness.text(&anon, "select 'free'").await.unwrap(), "free");
}

#[tokio::test]
async fn import_that_fails_is_dropped_or_rolled_back_leaves_nothing() {
    let harness = with_marks(one_connection()).await;
    let anon = Caller::anonymous();
    let keep = context(&anon);
    let undo = RequestContext { end: End::Rollback, ..keep };

    let bad = import(&harness, &keep, r#"[{"n":"x"}]"#).await;
    assert_eq!(bad.err().unwrap().code(), Some("22P02"));

    let mut later = import(&harness, &keep, r#"[{"n":1}]"#).await.unwrap();
    later.batch(&insert(r#"[{"n":"x"}]"#)).await.unwrap();
    assert_eq!(later.finish().await.unwrap_err().code(), Some("22P02"));

    // A deferred constraint fails at the commit.
    let mut twice = import(&harness, &keep, r#"[{"n":1}]"#).await.unwrap();
    twice.batch(&insert(r#"[{"n":1}]"#)).await.unwrap();
    assert_eq!(twice.finish().await.unwrap_err().code(), Some("23505"));

    drop(import(&harness, &keep, r#"[{"n":1}]"#).await.unwrap());
    assert_eq!(import(&harness, &undo, r#"[{"n":1}]"#).await.unwrap().finish().await.unwrap().len(), 1);

    assert_eq!(harness.text(&anon, "select count(*)::text from public.marks").await.unwrap(), "0");
}

#[tokio::test]
async fn import_survives_a_change_of_its_table_between_two() {
    let harness = with_marks(one_connection()).await;
    let anon = Caller::anonymous();
    let keep = context(&anon);
    for n in 1..=3 {
        let row = format!(r#"[{{"n":{n}}}]"#);
        import(&harness, &keep, &row).await.unwrap().finish().await.unwrap();
        harness
            .db
            .migrate(&format!("alter table public.marks alter n type {}", ["bigint", "int"][n % 2]))
            .await;
    }
    assert_eq!(marks(&harness).await, 3);
}

#[tokio::test]
async fn streams_use_half_of_the_connections_at_most() {
    let settings = DbSettings {
        data_pool_size: 2,
        data_pool_share: 100,
        acquire_timeout: Duration::from_millis(50),
        ..DbSettings::default()
    };
    let harness = with_marks(settings).await;
    let anon = Caller::anonymous();
    let keep = context(&anon);
    let one = import(&harness, &keep, r#"[{"n":1}]"#).await.unwrap();
    assert!(matches!(import(&harness, &keep, r#"[{"n":2}]"#).await, Err(DbError::PoolTimeout(_))));
    assert_eq!(harness.text(&anon, "select 'others go on'").await.unwrap(), "others go on");
    one.finish().await.unwrap();
    import(&harness, &keep, r#"[{"n":2}]"#).await.unwrap().finish().await.unwrap();
}

#[tokio::test]
async fn statements_with_many_notices_do_not_block_an_import() {
    let harness = with_marks(one_connection()).await;
    let noisy = "create function public.talk() returns trigger language plpgsql as $$ begin \
                 raise warning '%', repeat('x', 5000); return new; end $$; \
                 create trigger talk before insert on public.marks for each row execute function public.talk()";
    harness.db.migrate(noisy).await;
    let anon = Caller::anonymous();
    let keep = context(&anon);
    let rows = |from: u32| {
        let rows: Vec<String> = (from..from + 200).map(|n| format!(r#"{{"n":{n}}}"#)).collect();
        format!("[{}]{}", rows.join(","), " ".repeat(1_000_000))
    };
    let mut import = import(&harness, &keep, &rows(0)).await.unwrap();
    for batch in 1..4 {
        import.batch(&insert(&rows(batch * 200))).await.unwrap();
    }
    import.finish().await.unwrap();
    assert_eq!(marks(&harness).await, 800);
}
