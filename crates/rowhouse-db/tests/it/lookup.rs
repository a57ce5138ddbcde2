//! Reads of the control plane over connections of their own: as the program, whatever the project has, and many at once.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use rowhouse_db::flight::Query;
use rowhouse_db::{DbError, DbSettings};
use rowhouse_kernel::Operation;

use crate::support::Harness;

const AT_ONCE: usize = 40;

async fn read(harness: &Harness, sql: &str, value: &str) -> Result<String, DbError> {
    let query = Query { sql: Arc::from(sql), params: vec![Some(Bytes::copy_from_slice(value.as_bytes()))] };
    let rows = harness.database.lookups.rows(&Operation::system("test.look_up"), &query).await?;
    let value = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
    Ok(String::from_utf8(value.unwrap_or_default().to_vec()).unwrap())
}

async fn harness() -> Harness {
    Harness::new(DbSettings { lookup_pool_size: 1, ..DbSettings::default() }).await
}

#[tokio::test]
async fn each_of_many_reads_over_one_connection_gets_its_own_answer() {
    let harness = harness().await;
    let asked = (0..AT_ONCE).map(|number| {
        let harness = &harness;
        async move { (number.to_string(), read(harness, "select $1::int::text", &number.to_string()).await) }
    });
    for (number, answer) in join_all(asked).await {
        assert_eq!(answer.unwrap(), number);
    }
    assert_eq!(harness.database.lookups.counts(), (0, 1));
}

#[tokio::test]
async fn failing_read_spoils_none_of_its_neighbours() {
    let harness = harness().await;
    let divide = "select (10 / $1::int)::text";
    let asked = (0..AT_ONCE).map(|number| read(&harness, divide, if number % 2 == 0 { "0" } else { "5" }));
    for (number, answer) in join_all(asked).await.into_iter().enumerate() {
        match number % 2 {
            0 => assert_eq!(answer.unwrap_err().code(), Some("22012")),
            _ => assert_eq!(answer.unwrap(), "2"),
        }
    }
}

#[tokio::test]
async fn operators_of_the_project_do_not_replace_postgres_own() {
    let harness = harness().await;
    let client = harness.db.superuser().await;
    let sql = "create function public.lie(text, text) returns boolean language sql as 'select true';
               create operator public.= (leftarg = text, rightarg = text, function = public.lie)";
    client.batch_execute(sql).await.unwrap();
    assert_eq!(read(&harness, "select ($1::text = 'other')::text", "one").await.unwrap(), "false");
}

#[tokio::test]
async fn statement_is_prepared_again_after_its_table_has_changed() {
    let harness = harness().await;
    let client = harness.db.superuser().await;
    let sql = "create table public.looked (a int); insert into public.looked values (1);
               grant select on public.looked to rowhouse";
    client.batch_execute(sql).await.unwrap();
    let read = async || read(&harness, "select l.* from public.looked l where l.a = $1", "1").await;
    assert_eq!(read().await.unwrap(), "1");
    client.batch_execute("alter table public.looked alter column a type bigint").await.unwrap();
    assert_eq!(read().await.unwrap(), "1");
}
