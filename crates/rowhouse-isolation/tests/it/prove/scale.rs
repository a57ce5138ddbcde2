//! Two hundred relations are proven within a minute.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use rowhouse_testkit::TestDatabase;

use super::support::{plan, proof_of};

const LIMIT: Duration = Duration::from_secs(60);

/// Tables in rows of ten, each referring to the one before it.
fn schema(tables: usize) -> String {
    let mut sql = String::new();
    for at in 0..tables {
        let reference = if at % 10 == 0 {
            String::new()
        } else {
            format!(", parent_id bigint references public.t{} (id)", at - 1)
        };
        let _ = write!(
            sql,
            "create table public.t{at} (id bigint generated always as identity primary key, title text not null, \
             amount int not null check (amount > 0), done boolean not null default false{reference}); \
             select tenancy.protect('public.t{at}'); grant select, insert, update, delete on public.t{at} to authenticated;"
        );
    }
    sql
}

#[tokio::test]
async fn two_hundred_relations_take_less_than_a_minute() {
    let db = TestDatabase::create().await;
    db.migrate(&schema(200)).await;
    let started = Instant::now();
    let proof = proof_of(&db, &plan()).await;
    let took = started.elapsed();
    println!(
        "{} relations, {} statements, {} callers in {took:?}",
        proof.coverage.relations, proof.coverage.probes, proof.coverage.actors
    );
    assert_eq!((proof.leaks.len(), proof.unproven.len(), proof.coverage.proven), (0, 0, 200));
    assert!(proof.coverage.actors >= 6 && proof.coverage.probes > 200 * 6 * 8, "{:?}", proof.coverage);
    assert!(took < LIMIT, "{took:?}");
}
