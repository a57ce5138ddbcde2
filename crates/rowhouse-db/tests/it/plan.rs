//! Statements that were prepared before the schema changed: after the change is announced no connection uses one.

use futures_util::future::join_all;
use rowhouse_db::DbSettings;
use rowhouse_kernel::Caller;

use crate::support::{Busy, Harness, one_connection};

const CONNECTIONS: u32 = 4;

/// A change, a statement with the value that it is asked with, and what it answers afterwards.
const CHANGES: [(&str, &str, &str, &str); 6] = [
    (
        "alter table public.inv alter column at type timestamp using at + time '08:00'",
        "select coalesce(string_agg(id::text, ',' order by id), '') from public.inv where at > $1",
        "2024-01-01T12:00:00",
        "2",
    ),
    (
        "alter table public.inv alter column code type text using 'INV-' || code",
        "select id::text from public.inv where code = $1",
        "INV-100",
        "1",
    ),
    (
        "create type public.mood_new as enum ('sad', 'glad'); alter table public.inv alter column mood drop default, alter column mood type public.mood_new using mood::text::public.mood_new;",
        "select id::text from public.inv where mood = $1",
        "glad",
        "1",
    ),
    (
        "drop view public.seen; create view public.seen as select id, code::text || '!' as code from public.inv; grant select on public.seen to anon",
        "select code from public.seen where code = $1",
        "INV-100!",
        "INV-100!",
    ),
    (
        "drop function public.twice(int); create function public.twice(n text) returns text language sql as $$ select n || n $$",
        "select public.twice($1)::text",
        "ab",
        "abab",
    ),
    (
        "alter table public.inv alter column size type numeric(6,2) using size / 100.0, alter column size set default 9.5",
        "with i as (insert into public.inv (id, code) values (3, $1) returning size) select size::text from i",
        "x",
        "9.50",
    ),
];

/// What each statement was asked with before.
const BEFORE: [&str; 6] = ["2023-01-01", "100", "sad", "100", "2", "5"];

const TABLE: &str = "create type public.mood as enum ('sad');
    create table public.inv (id int, code int, at date, mood public.mood default 'sad', size int default 7);
    insert into public.inv values (1, 100, '2024-01-01'), (2, 200, '2024-01-02');
    create view public.seen as select id, code from public.inv;
    create function public.twice(n int) returns int language sql as $$ select n * 2 $$;
    grant all on public.inv, public.seen to anon";

#[tokio::test]
async fn announced_schema_change_reaches_every_connection() {
    let harness = Harness::new(DbSettings { data_pool_size: CONNECTIONS, ..one_connection() }).await;
    harness.db.migrate(TABLE).await;
    let anon = Caller::anonymous();
    // Each statement is prepared on each connection: those that have them all are kept busy.
    let mut busy = Busy::none(&harness).await;
    for _ in 0..CONNECTIONS {
        for ((_, sql, ..), value) in CHANGES.iter().zip(BEFORE) {
            harness.fly(&anon, sql, &[value]).await.unwrap();
        }
        busy.take(&harness).await;
    }
    busy.release().await;
    harness.db.migrate("delete from public.inv where id = 3").await;
    for (change, sql, value, expected) in CHANGES {
        if change.contains("glad") {
            harness.db.migrate("drop view public.seen").await;
            harness.db.migrate(change).await;
            harness.db.migrate("update public.inv set mood = 'glad' where id = 1; create view public.seen as select id, code from public.inv; grant select on public.seen to anon").await;
        } else if change.contains("code type") {
            harness.db.migrate("drop view public.seen").await;
            harness.db.migrate(change).await;
            harness.db.migrate("create view public.seen as select id, code from public.inv; grant select on public.seen to anon").await;
        } else {
            harness.db.migrate(change).await;
        }
        harness.database.data.schema_changed();
        let one = async |_: usize| {
            let rows = harness.fly(&anon, sql, &[value]).await.unwrap();
            assert_eq!(rows[0], [Some(expected.into())], "{change}");
        };
        join_all((0..8).map(one)).await;
    }
}
