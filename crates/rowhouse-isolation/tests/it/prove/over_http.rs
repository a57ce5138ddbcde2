//! The same attempts over HTTP, and what requests leave in connections.

use std::sync::Arc;
use std::time::Instant;

use rowhouse_isolation::prove::{Cell, Copy, Mark, Proof, prove_over_http};
use rowhouse_kernel::settings::Settings;
use rowhouse_kernel::{SharedClock, SharedRng, SystemClock, SystemRng};
use rowhouse_testkit::TestDatabase;

use super::support::{plan, proof_of, with};

async fn proof_over_http(db: &TestDatabase) -> Proof {
    let (clock, rng): (SharedClock, SharedRng) = (Arc::new(SystemClock), Arc::new(SystemRng));
    let copy = Copy { urls: &db.urls, settings: &Settings::default(), clock: &clock, rng: &rng };
    let proof = prove_over_http(&copy, &plan(), &|_, _, _| {}).await;
    proof.unwrap_or_else(|error| panic!("{error:?}"))
}

fn line<'a>(proof: &'a Proof, relation: &str, actor: &str) -> impl Fn(Cell) -> Option<Mark> + use<'a> {
    let found = proof.matrix.iter().find(|line| line.relation == relation && line.actor == actor);
    let line = found.unwrap_or_else(|| panic!("{relation} {actor}"));
    move |cell| line.cells.get(&cell).copied()
}

#[tokio::test]
async fn awkward_schema_is_proven_over_http_cell_by_cell() {
    let db = with("").await;
    let started = Instant::now();
    let mut all = proof_of(&db, &plan()).await;
    let proof = proof_over_http(&db).await;
    println!("{} requests in {:?}", proof.coverage.requests, started.elapsed());
    assert_eq!((&proof.leaks, &proof.unproven), (&vec![], &vec![]));
    assert!(proof.coverage.requests > 300, "{:?}", proof.coverage);
    let held = [
        Cell::HttpSelect,
        Cell::HttpCount,
        Cell::HttpInsert,
        Cell::HttpReturning,
        Cell::HttpUpdate,
        Cell::HttpUpdateAll,
        Cell::HttpMove,
        Cell::HttpDelete,
    ];
    for table in ["customers", "orders", "lines", "folders", "events"] {
        let table = format!("public.{table}");
        let (own, other) = (line(&proof, &table, "own tenant"), line(&proof, &table, "other tenant"));
        for cell in held {
            assert_eq!((own(cell), other(cell)), (Some(Mark::Control), Some(Mark::Held)), "{table} {cell:?}");
        }
        assert_eq!(line(&proof, &table, "ended session")(Cell::HttpSelect), Some(Mark::Held));
    }
    for table in ["public.customers", "public.lines", "public.folders", "public.events"] {
        assert_eq!(line(&proof, table, "other tenant")(Cell::HttpUpsert), Some(Mark::Held), "{table}");
    }
    let other = |table: &str, cell| line(&proof, &format!("public.{table}"), "other tenant")(cell);
    for (cell, tables) in [
        (Cell::HttpDeleteAll, ["lines", "folders", "events"].as_slice()),
        (Cell::HttpRefer, &["orders", "lines", "folders"]),
    ] {
        for table in tables {
            assert_eq!(other(table, cell), Some(Mark::Held), "{table} {cell:?}");
        }
    }
    assert_eq!(other("customers", Cell::HttpDeleteAll), None, "orders keep customers from being deleted");
    assert_eq!(line(&proof, "public.customers_like(text)", "other tenant")(Cell::HttpCall), Some(Mark::Held));
    for actor in ["other tenant", "sibling tenant", "no tenant", "anon"] {
        assert_eq!(line(&proof, "(connections)", actor)(Cell::Bleed), Some(Mark::Held), "{actor}");
    }
    // Both make one document.
    let before = all.coverage;
    all.add(proof, &plan());
    assert!(all.passes(), "{:?}", all.unproven);
    assert_eq!(all.coverage.proven, before.proven);
    assert!(all.coverage.held > before.held && all.coverage.requests > 0);
    let both = line(&all, "public.orders", "other tenant");
    assert_eq!((both(Cell::Merge), both(Cell::HttpDelete)), (Some(Mark::Held), Some(Mark::Held)));
}

#[tokio::test]
async fn what_gets_through_over_http_is_named_with_its_request() {
    let db = with(
        "create policy wide on public.folders for select to authenticated using (true);
         alter policy tenant_update on public.customers using (true) with check (true);
         create policy wide on public.events for delete to authenticated using (true);
         do $$ declare name text; begin
           for name in select tgname from pg_trigger where tgrelid = 'public.orders'::regclass and tgname like 'tenant\\_reference\\_%' loop
             execute format('alter table public.orders disable trigger %I', name);
           end loop;
         end $$;
         create function public.all_names() returns setof text language sql stable security definer set search_path = ''
           as 'select name from public.customers';",
    )
    .await;
    let proof = proof_over_http(&db).await;
    let leaks = |actor: &str| {
        let of = proof.leaks.iter().filter(move |leak| leak.actor == actor);
        of.map(|leak| (leak.relation.as_str(), leak.cell)).collect::<Vec<_>>()
    };
    assert_eq!(
        leaks("other tenant"),
        [
            ("public.all_names()", Cell::HttpCall),
            ("public.customers", Cell::HttpUpdateAll),
            ("public.customers", Cell::HttpMove),
            ("public.events", Cell::HttpDeleteAll),
            ("public.folders", Cell::HttpSelect),
            ("public.folders", Cell::HttpCount),
            ("public.orders", Cell::HttpRefer),
        ]
    );
    let moved = proof.leaks.iter().find(|leak| leak.cell == Cell::HttpMove).unwrap();
    assert!(
        moved.statement.starts_with("PATCH /rest/v1/customers (Prefer: ")
            && moved.statement.contains("tenant_id"),
        "{moved:?}"
    );
    assert!(moved.detail.contains("over HTTP"), "{moved:?}");
}

#[tokio::test]
async fn session_that_is_not_cleared_between_callers_is_found() {
    let db = with("").await;
    let admin = db.superuser().await;
    let nothing =
        "create or replace function rowhouse.clear_session(statement_timeout pg_catalog.text) returns void
        language sql as 'select null::void'";
    admin.batch_execute(nothing).await.unwrap();
    let proof = proof_over_http(&db).await;
    let actors: Vec<&str> = proof.leaks.iter().map(|leak| leak.actor.as_str()).collect();
    assert!(["anon", "no tenant", "other tenant"].iter().all(|actor| actors.contains(actor)), "{actors:?}");
    assert!(proof.leaks.iter().all(|leak| leak.cell == Cell::Bleed && leak.relation == "(connections)"));
}

#[tokio::test]
async fn copy_with_another_schema_proves_nothing() {
    let (db, copy) = (with("").await, with("create table public.more (id int primary key)").await);
    let (mut proof, over_http) = (proof_of(&db, &plan()).await, proof_over_http(&copy).await);
    assert!(proof.passes());
    proof.add(over_http, &plan());
    let unproven = proof.unproven.iter().find(|one| one.relation == "(copy)").unwrap();
    assert!(!proof.passes() && unproven.reason.contains("migrate verify"), "{unproven:?}");
}
