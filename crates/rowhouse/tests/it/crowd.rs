//! A hundred tenants and random requests over every surface: nobody sees or changes a row of another tenant.
//!
//! Every text that a tenant writes carries the tenant's mark, so an answer with another's mark has leaked. What the tables hold
//! at the end is compared with what each tenant has written itself. `./test` sends [`REQUESTS`];
//! `cargo xtask check --long --only tenants` sends as many as `ROWHOUSE_CROWD_REQUESTS` says.

mod dice;
mod operation;
mod tenant;

use std::collections::BTreeMap;
use std::sync::Arc;

use rowhouse_module::Roles;
use rowhouse_testkit::TestDatabase;
use serde_json::json;

use crate::support::{PROJECT, TestApp, settings};
use dice::Dice;
use tenant::Tenant;

const TENANTS: usize = 100;
/// Rows of each at the beginning.
const ROWS: usize = 5;
/// Tenants that send at the same time.
const AT_ONCE: usize = 10;
const REQUESTS: usize = 1_500;
const SEED: u64 = 20_261_128;

/// A job of the caller's own tenant, and a function that enqueues it for whichever tenant it is told.
const FUNCTIONS: &str = "set role rowhouse_project; \
    create table public.notes (id bigint generated always as identity primary key, body text not null); \
    select tenancy.protect('public.notes'); \
    grant select, insert on public.notes to authenticated; \
    create function public.leave_note(body text) returns bigint language sql as \
    'insert into notes (body) values (body); select count(*) from notes'; \
    select jobs.allow_function('public.leave_note'); \
    create function public.later(body text, tenant uuid) returns bigint \
    language sql security definer set search_path = '' as \
    $$select jobs.enqueue('jobs.sql', jsonb_build_object('function', 'public.leave_note', \
      'args', jsonb_build_object('body', body)), tenant => tenant)$$; \
    reset role";

fn number(variable: &str) -> Option<usize> {
    std::env::var(variable).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_row_of_another_tenant_is_seen_or_changed_by_random_requests() {
    let requests = number("ROWHOUSE_CROWD_REQUESTS").unwrap_or(REQUESTS);
    let seed = number("ROWHOUSE_CROWD_SEED").map_or(SEED, |seed| seed as u64);
    let app = Arc::new(start().await);
    let tenants = settle(&app).await;
    let places: Arc<Vec<_>> = Arc::new(tenants.iter().map(|tenant| tenant.place.clone()).collect());
    let mut tasks = tokio::task::JoinSet::new();
    for (number, mut crew) in crews(tenants).into_iter().enumerate() {
        let (app, places, mut dice) = (app.clone(), places.clone(), Dice::new(seed + number as u64));
        tasks.spawn(async move {
            let mut kinds = BTreeMap::<&str, usize>::new();
            for _ in 0..requests / AT_ONCE {
                let who = dice.below(crew.len());
                let kind = operation::random(&app, &mut dice, &mut crew[who], &places).await;
                *kinds.entry(kind).or_default() += 1;
            }
            (crew, kinds)
        });
    }
    let (mut tenants, mut kinds) = (Vec::new(), BTreeMap::<&str, usize>::new());
    for (crew, counts) in tasks.join_all().await {
        tenants.extend(crew);
        counts.into_iter().for_each(|(kind, count)| *kinds.entry(kind).or_default() += count);
    }
    let left = operation::KINDS.iter().filter(|kind| !kinds.contains_key(*kind)).collect::<Vec<_>>();
    assert!(left.is_empty(), "seed {seed} tried nothing of {left:?}");
    compare(&app, &tenants).await;
    let sum: usize = kinds.values().sum();
    println!(
        "crowd: {}",
        json!({ "tenants": TENANTS, "requests": sum, "seed": seed, "by_kind": kinds, "foreign_rows": 0 })
    );
}

async fn start() -> TestApp {
    let db = TestDatabase::create().await;
    db.migrate(PROJECT).await;
    db.superuser().await.batch_execute(FUNCTIONS).await.unwrap();
    // With the worker of its jobs.
    TestApp::start_as(db, settings(), Roles::ALL).await
}

async fn settle(app: &TestApp) -> Vec<Tenant> {
    let mut tenants = Vec::new();
    for number in 0..TENANTS {
        tenants.push(Tenant::settle(app, number, ROWS).await);
    }
    tenants
}

fn crews(tenants: Vec<Tenant>) -> Vec<Vec<Tenant>> {
    let mut crews: Vec<Vec<Tenant>> = (0..AT_ONCE).map(|_| Vec::new()).collect();
    for (number, tenant) in tenants.into_iter().enumerate() {
        crews[number % AT_ONCE].push(tenant);
    }
    crews
}

/// The tables hold what the tenants wrote, and nothing of one stands in another.
async fn compare(app: &TestApp, tenants: &[Tenant]) {
    let superuser = app.db.superuser().await;
    for tenant in tenants {
        let sql = "select id, title from public.todos where tenant_id::text = $1 order by id";
        let rows = superuser.query(sql, &[&tenant.place.tenant]).await.unwrap();
        let stored: BTreeMap<i64, String> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(stored, tenant.todos, "{}", tenant.place.mark);
        let sql = "select count(*) from public.notes where tenant_id::text = $1 and position($2 in body) = 0";
        let foreign: i64 =
            superuser.query_one(sql, &[&tenant.place.tenant, &tenant.place.mark]).await.unwrap().get(0);
        assert_eq!(foreign, 0, "notes of others in {}", tenant.place.mark);
    }
    let all: i64 = superuser.query_one("select count(*) from public.todos", &[]).await.unwrap().get(0);
    assert_eq!(all as usize, tenants.iter().map(|tenant| tenant.todos.len()).sum::<usize>());
}
