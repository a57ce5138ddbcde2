//! Tripwires: what is clean is quiet, a leak is told once and everywhere, and a task looks by itself.

use std::sync::Arc;
use std::time::Duration;

use rowhouse_db::Database;
use rowhouse_isolation::prove::Plan;
use rowhouse_isolation::{IsolationModule, RlsSettings, Tripwires};
use rowhouse_kernel::SystemClock;
use rowhouse_kernel::settings::Settings;
use rowhouse_module::{Modules, Roles};
use rowhouse_rest::RestModule;
use rowhouse_tenancy::TenancyModule;
use rowhouse_testkit::{Setup, TestApp, TestDatabase, until_true};
use tokio_postgres::Client;

use crate::keys::Keys;
use crate::support::scope;

const NOTES: &str =
    "create table public.notes (id bigint generated always as identity primary key, body text not null);
    create table public.kinds (name text primary key);
    select tenancy.protect('public.notes'); select tenancy.share('public.kinds');
    grant select, insert on public.notes to authenticated; grant select on public.kinds to authenticated;";
const WIDE: &str = "create policy wide on public.notes for select to authenticated using (true)";

fn tripwires(db: &TestDatabase) -> Tripwires {
    let (database, monitor) =
        Database::open_monitored(&db.urls, &rowhouse_db::DbSettings::default(), true).unwrap();
    drop(monitor);
    let plan = Plan {
        scope: scope(&["public"]),
        settings: RlsSettings::default(),
        search_path: "public, extensions".to_owned(),
    };
    Tripwires::new(database, db.urls.direct.clone(), plan, Arc::new(SystemClock))
}

async fn hits(client: &Client) -> Vec<String> {
    let sql = "select target_id from audit.entries where action = 'tripwire_hit' order by target_id";
    client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn leak_is_told_once_in_the_audit_log_and_as_trouble_until_it_is_gone() {
    let db = TestDatabase::create().await;
    db.migrate(NOTES).await;
    let (admin, tripwires) = (db.superuser().await, tripwires(&db));
    let clean = tripwires.round().await.unwrap();
    assert_eq!((clean.held, &clean.leaks, &clean.unproven), (1, &vec![], &vec![]));
    assert_eq!(tripwires.trouble(), Ok(()));
    db.migrate(WIDE).await;
    for _ in 0..2 {
        assert_eq!(tripwires.round().await.unwrap().leaks, ["public.notes"]);
        assert!(tripwires.trouble().unwrap_err().contains("rls prove"));
        assert_eq!(hits(&admin).await, ["public.notes"]);
    }
    db.migrate("drop policy wide on public.notes").await;
    assert_eq!(tripwires.round().await.unwrap().held, 1);
    assert_eq!(tripwires.trouble(), Ok(()));
    // Nothing was made twice, and nothing for everybody.
    let counts = "select (select count(*) from public.notes), (select count(*) from public.kinds), (select count(*) from tenancy.tenants)";
    let row = admin.query_one(counts, &[]).await.unwrap();
    assert_eq!([0, 1, 2].map(|at| row.get::<_, i64>(at)), [1, 0, 2]);
}

#[tokio::test]
async fn look_that_shows_nothing_is_trouble_unless_somebody_has_accepted_it() {
    let db = TestDatabase::create().await;
    db.migrate(NOTES).await;
    db.migrate(
        "create table public.secrets (id int primary key, body text not null constraint secrets_body_check check (md5(body) = 'none'));
         select tenancy.protect('public.secrets'); grant select on public.secrets to authenticated",
    )
    .await;
    let tripwires = tripwires(&db);
    let round = tripwires.round().await.unwrap();
    assert_eq!((round.held, round.unproven.len()), (1, 1));
    let trouble = tripwires.trouble().unwrap_err();
    assert!(trouble.contains("public.secrets") && trouble.contains("secrets_body_check"), "{trouble}");
}

#[tokio::test]
async fn switch_makes_a_process_look_by_itself() {
    let db = TestDatabase::create().await;
    db.migrate(NOTES).await;
    db.migrate(WIDE).await;
    let admin = db.superuser().await;
    let start = |db: TestDatabase, on: bool| async move {
        let mut settings = Settings::default();
        settings.update(|rls: &mut RlsSettings| {
            (rls.tripwires, rls.tripwire_interval) = (on, Duration::from_secs(1));
        });
        let modules = Modules::new(vec![
            Box::new(TenancyModule),
            Box::new(Keys),
            Box::new(RestModule),
            Box::new(IsolationModule),
        ]);
        let roles = Roles { api: true, worker: false };
        TestApp::start(&modules, db, Setup { settings, roles, ..Setup::default() }).await
    };
    let off = start(db.clone(), false).await;
    assert!(off.app.supervisor().statuses().iter().all(|task| task.name != "isolation.tripwires"));
    let _on = start(db, true).await;
    until_true(&admin, "exists (select from audit.entries where action = 'tripwire_hit')").await;
    assert_eq!(hits(&admin).await, ["public.notes"]);
}
