//! `migrate up` that is killed: the next one finishes.

use rowhouse_testkit::until_true;

use super::migrate::Team;

#[tokio::test]
async fn run_that_was_killed_in_a_concurrent_index_is_finished_by_the_next_one() {
    let team = Team::start().await;
    team.up().await;
    let (holder, observer) = (team.db.superuser().await, team.db.superuser().await);
    team.write(
        "20260104000000_index.sql",
        "-- rowhouse: no-transaction\ncreate index concurrently if not exists todos_title_idx on public.todos (title);",
    );
    holder.batch_execute("begin; lock table public.todos in share update exclusive mode").await.unwrap();
    team.write("20260103000000_first.sql", "select 1;");
    let mut running = team.command(&["migrate", "up", "--no-wait", "--yes"]).spawn().unwrap();
    let waits = "exists (select from pg_stat_activity where query like 'create index concurrently%' and wait_event_type = 'Lock')";
    until_true(&observer, waits).await;
    running.kill().unwrap();
    running.wait().unwrap();
    holder.batch_execute("commit").await.unwrap();
    let next = team.run(&["migrate", "up", "--no-wait", "--yes"]);
    assert_eq!(next.code, 0, "{next:?}");
    let verified = team.run(&["migrate", "verify"]);
    assert_eq!(verified.code, 0, "{verified:?}");
    until_true(
        &observer,
        "(select indisvalid from pg_index where indexrelid = 'public.todos_title_idx'::regclass)",
    )
    .await;
}
