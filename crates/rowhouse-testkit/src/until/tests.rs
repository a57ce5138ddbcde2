use std::time::Duration;

use tokio::time::Instant;

use super::{LIMIT, in_time, until, until_own_time, until_some, until_true};
use crate::{TestDatabase, platform_migrations};

#[tokio::test(start_paused = true)]
async fn what_comes_later_is_handed_out() {
    let mut looks = 0;
    let found = until_some("the third look", LIMIT, async || {
        looks += 1;
        (looks == 3).then_some("here")
    });
    assert_eq!(found.await, "here");
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "not within 2s: rain")]
async fn what_never_comes_is_named_at_the_limit() {
    until("rain", Duration::from_secs(2), async || false).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "not within 2s: an answer")]
async fn look_that_hangs_is_cut_off_at_the_limit() {
    until("an answer", Duration::from_secs(2), async || std::future::pending().await).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "not within 1s of its own time: rain")]
async fn own_time_runs_out_while_the_process_runs() {
    until_own_time("rain", Duration::from_secs(1), async || false).await;
}

#[tokio::test(start_paused = true)]
async fn own_time_stands_still_while_others_have_the_machine() {
    let begun = Instant::now();
    let late = async || {
        tokio::time::advance(Duration::from_millis(300)).await;
        begun.elapsed() > Duration::from_secs(5)
    };
    until_own_time("the end of five seconds", Duration::from_secs(1), late).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "not within 60s: a signal")]
async fn signal_that_never_comes_is_named_at_the_limit() {
    in_time("a signal", std::future::pending::<()>()).await;
}

#[tokio::test]
async fn condition_in_sql_is_waited_for_although_it_is_false_at_first() {
    let db = TestDatabase::create().await;
    let (waiting, acting) = (db.superuser().await, db.superuser().await);
    waiting.batch_execute("create table public.rain (mm int)").await.unwrap();
    let falls = async {
        assert_eq!(waiting.query("select from public.rain", &[]).await.unwrap().len(), 0);
        acting.batch_execute("insert into public.rain values (7)").await.unwrap();
    };
    tokio::join!(until_true(&waiting, "exists (select from public.rain where mm = 7)"), falls);
}

#[tokio::test]
async fn platform_is_found_whole_and_in_order() {
    let migrations = platform_migrations();
    assert!(migrations.is_sorted_by(|one, next| one.name < next.name));
    let db = TestDatabase::create_with(migrations).await;
    let sql = "select count(*) from pg_namespace where nspname = any ('{rowhouse,audit,events,auth,jobs,tenancy,mail}')";
    assert_eq!(db.superuser().await.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 7);
}
