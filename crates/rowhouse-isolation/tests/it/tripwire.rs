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

/// Takes what could be taken for a tripwire's before there are any: addresses, names, slugs and values of rows.
const SQUATTER: &str = "
insert into auth.users (id, email, role, aud)
  select gen_random_uuid(), 'tripwire-' || tag || '@tripwire.invalid', 'authenticated', 'authenticated' from unnest(array['a', 'b']) as tag;
update tenancy.organizations o set name = 'tripwire', slug = 'tripwire-00000002-0000-4000-8000-77697265000' || right(split_part(u.email, '@', 1), 1)
  from auth.users u where o.slug = 'u-' || u.id;
update tenancy.tenants set name = 'tripwire';
insert into public.handles (tenant_id, handle)
  select (select min(id::text)::uuid from tenancy.tenants), value from unnest(array['prove-b1', 'prove-a1', 'prove-b1@prove.invalid',
    'prove-a1@prove.invalid', 'https://prove.invalid/prove-b1', 'https://prove.invalid/prove-a1', 'A', 'a', '1', '12345', '#aabbcc',
    '+15550100001', 'en', 'EUR', '2026-01-01', '10.0.0.1', '{}', '', 'PROVE-B1', 'prove_b1', 'PROVE-A1', 'prove_a1']) as value;";

#[tokio::test]
async fn stranger_with_the_address_and_names_of_a_tripwire_neither_blinds_nor_trips_one() {
    let db = TestDatabase::create().await;
    db.migrate(NOTES).await;
    db.migrate(
        "create table public.handles (handle text primary key); select tenancy.protect('public.handles');
         grant select, insert on public.handles to authenticated",
    )
    .await;
    let (admin, tripwires) = (db.superuser().await, tripwires(&db));
    admin.batch_execute(SQUATTER).await.unwrap();
    let quiet = || async {
        let round = tripwires.round().await.unwrap();
        assert_eq!((round.held, round.leaks, round.unproven), (2, vec![], vec![]));
        assert_eq!((tripwires.trouble(), hits(&admin).await), (Ok(()), vec![]));
    };
    quiet().await;
    // The address is known to whoever has seen it; only from a provider of single sign-on can another account have it.
    let same = "insert into auth.users (id, email, role, aud, is_sso_user)
        select gen_random_uuid(), email, role, aud, true from auth.users where id::text like '00000003-0000-4000-8000-%'";
    assert_eq!(admin.execute(same, &[]).await.unwrap(), 2);
    quiet().await;
    db.migrate("create policy wide on public.handles for select to authenticated using (true)").await;
    assert_eq!(tripwires.round().await.unwrap().leaks, ["public.handles"], "it sees as before");
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
