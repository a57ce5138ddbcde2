use std::sync::Arc;

use rowhouse_db::{Control, DbSettings};
use rowhouse_kernel::{Origin, SystemClock, TenantId};
use rowhouse_module::CannotRun;
use rowhouse_testkit::TestDatabase;
use tokio_postgres::Client;
use uuid::uuid;

use super::{Outcome, TableReport, Wish, between, find};

const ACME: TenantId = TenantId(uuid!("00000000-0000-7000-8000-00000000000a"));
const OTHER: TenantId = TenantId(uuid!("00000000-0000-7000-8000-00000000000b"));

/// Two tenants, tables that refer to one another, and a trigger whose effect would be seen.
const SCENE: &str = "
    insert into tenancy.organizations (id, name, slug) values ('00000000-0000-7000-8000-000000000001', 'Org', 'org');
    insert into tenancy.tenants (id, organization_id, name, slug)
      select t.id::uuid, '00000000-0000-7000-8000-000000000001', t.slug, t.slug
      from (values ('00000000-0000-7000-8000-00000000000a', 'acme'), ('00000000-0000-7000-8000-00000000000b', 'other')) t (id, slug);
    insert into auth.users (id, email) values ('00000000-0000-7000-8000-0000000000f1', 'one@x.test'),
      ('00000000-0000-7000-8000-0000000000f2', 'two@x.test');
    insert into tenancy.organization_members (organization_id, user_id)
      select '00000000-0000-7000-8000-000000000001', u.id from auth.users u;
    insert into tenancy.memberships (tenant_id, user_id)
      select '00000000-0000-7000-8000-00000000000a', u.id from auth.users u;
    set role rowhouse_project;
    create table public.a_items (id bigint generated always as identity primary key, list_id int not null, note text,
      size int generated always as (length(note)) stored, blob bytea, score float8, tags text[], \"odd Name\" json,
      at timestamptz not null default now());
    create table public.lists (id serial primary key, title text not null, parent int references public.lists);
    create table public.loose (n int);
    create table public.quoted (\"it's\" int primary key);
    alter table public.a_items add foreign key (list_id) references public.lists;
    select tenancy.protect('public.a_items'), tenancy.protect('public.lists'), tenancy.protect('public.loose'), tenancy.protect('public.quoted');
    create function public.touch() returns trigger language plpgsql as $$ begin new.note := 'touched'; return new; end $$;
    create trigger touch before insert or update on public.a_items for each row execute function public.touch();
    alter table public.a_items disable trigger touch;
    insert into public.lists (title, parent, tenant_id)
      select 'list ' || g, nullif(greatest(g - 2, 0), 0), t.id from generate_series(1, 6) g, tenancy.tenants t where g % 2 = (t.slug = 'acme')::int
      order by g;
    insert into public.a_items (list_id, note, blob, score, tags, \"odd Name\", at, tenant_id)
      select l.id, E'line\\n\\\\N\\t' || l.id, '\\x00ff', 0.1 + l.id, '[0:1]={a,\"b,c\"}', '{ \"a\":1 }', '2026-11-28 10:00:00.123456+00', l.tenant_id
      from public.lists l, generate_series(1, 3) order by l.tenant_id, l.id;
    alter table public.a_items enable always trigger touch;
    reset role;";

/// A live database and a copy, which hold the same.
struct Scene {
    live: Client,
    copy: Client,
    control: Control,
}

impl Scene {
    async fn new() -> Self {
        let (live, copy) = (TestDatabase::create().await, TestDatabase::create().await);
        let control = Control::open(&live.urls.control, &DbSettings::default()).unwrap();
        let (live, copy) = (live.superuser().await, copy.superuser().await);
        for client in [&live, &copy] {
            // Whoever signs up gets an organization of their own, with a random id.
            client
                .batch_execute("alter table auth.users disable trigger on_auth_user_created")
                .await
                .unwrap();
            client.batch_execute(SCENE).await.unwrap();
            // Grants on a database are not those of its template.
            let grant = "do $$ begin execute format('grant create on database %I to rowhouse_owner', current_database()); end $$";
            client.batch_execute(grant).await.unwrap();
        }
        Self { live, copy, control }
    }

    async fn restore(&self, wish: Wish) -> Result<Outcome, CannotRun> {
        let origin = Origin::operator("tester", &(Arc::new(SystemClock) as _));
        between(&self.control, &self.copy, origin, (ACME, "backup"), &wish).await
    }

    async fn live(&self, sql: &str) {
        self.live.batch_execute(sql).await.unwrap();
    }
}

fn wish() -> Wish {
    Wish { tenant: "acme".to_owned(), apply: true, overwrite: false, delete_newer: false, members: false }
}

/// Everything that a tenant has in the project's tables.
async fn rows_of(client: &Client, tenant: TenantId) -> String {
    let sql = "select coalesce(string_agg(r.line, E'\\n' order by r.line), '') from (
                 select 'item ' || t::text as line from public.a_items t where t.tenant_id = $1
                 union all select 'list ' || t::text from public.lists t where t.tenant_id = $1
                 union all select 'tenant ' || (t.id, t.name, t.slug, t.status)::text from tenancy.tenants t where t.id = $1) r";
    client.query_one(sql, &[&tenant.0]).await.unwrap().get(0)
}

fn table<'a>(outcome: &'a Outcome, name: &str) -> &'a TableReport {
    outcome.tables.iter().find(|one| one.table == name).unwrap()
}

fn found(outcome: &Outcome, name: &str) -> [u64; 4] {
    let one = table(outcome, name);
    [one.missing, one.changed, one.only_live, one.moved]
}

#[tokio::test]
async fn dropped_tenant_comes_back_as_it_was_and_the_other_stays_as_it_is() {
    let scene = Scene::new().await;
    let [before, other] = [rows_of(&scene.copy, ACME).await, rows_of(&scene.live, OTHER).await];
    scene
        .live(
            "delete from public.a_items where tenant_id = '00000000-0000-7000-8000-00000000000a';
             delete from public.lists where tenant_id = '00000000-0000-7000-8000-00000000000a';
             delete from tenancy.tenants where slug = 'acme';
             alter sequence public.lists_id_seq restart with 3",
        )
        .await;
    let looked = scene.restore(Wish { apply: false, ..wish() }).await.unwrap();
    assert_eq!(found(&looked, "public.a_items"), [9, 0, 0, 0]);
    assert_eq!(found(&looked, "tenancy.tenants"), [1, 0, 0, 0]);
    assert_eq!(rows_of(&scene.live, ACME).await, "", "a look changes nothing");

    let done = scene.restore(Wish { members: true, ..wish() }).await.unwrap();
    assert!(done.applied, "{done:?}");
    assert_eq!(rows_of(&scene.live, ACME).await, before);
    assert_eq!(rows_of(&scene.live, OTHER).await, other);
    assert_eq!(table(&done, "tenancy.memberships").inserted, 2);
    assert!(table(&done, "public.loose").skipped.as_deref().is_some_and(|why| why.contains("primary key")));
    let state = "select (select tgenabled::text from pg_trigger where tgname = 'touch') || nextval('public.lists_id_seq')
                   || (select count(*) from pg_namespace where nspname = 'rowhouse_restore')
                   || (select count(*) from audit.entries where action = 'tenant_restored' and actor = 'operator:tester')";
    let state: String = scene.live.query_one(state, &[]).await.unwrap().get(0);
    assert_eq!(state, "A601", "the trigger, the next number, what is left over, the audit log");
}

#[tokio::test]
async fn only_missing_rows_come_back_unless_more_is_asked_for() {
    let scene = Scene::new().await;
    let before = rows_of(&scene.copy, ACME).await;
    scene
        .live(
            "alter table public.a_items disable trigger touch;
             delete from public.a_items where id = 1;
             update public.a_items set note = 'later' where id = 2;
             insert into public.lists (title, tenant_id) values ('new', '00000000-0000-7000-8000-00000000000a');
             update public.a_items set list_id = currval('public.lists_id_seq') where id = 3;
             delete from tenancy.memberships where user_id = '00000000-0000-7000-8000-0000000000f1'",
        )
        .await;
    let done = scene.restore(wish()).await.unwrap();
    assert_eq!(found(&done, "public.a_items"), [1, 2, 0, 0]);
    assert_eq!(found(&done, "public.lists"), [0, 0, 1, 0]);
    let memberships = table(&done, "tenancy.memberships");
    assert_eq!((memberships.missing, memberships.inserted), (1, 0), "who was removed stays removed");
    let kept = rows_of(&scene.live, ACME).await;
    assert!(kept.contains("later") && kept.contains("new"), "{kept}");

    let done = scene.restore(Wish { overwrite: true, delete_newer: true, ..wish() }).await.unwrap();
    let items = table(&done, "public.a_items");
    assert_eq!((items.inserted, items.updated, table(&done, "public.lists").deleted), (0, 2, 1));
    assert_eq!(rows_of(&scene.live, ACME).await, before);
}

#[tokio::test]
async fn row_that_belongs_to_another_tenant_now_is_refused_by_name() {
    let scene = Scene::new().await;
    scene
        .live(
            "alter table public.a_items disable trigger all;
             update public.a_items set tenant_id = '00000000-0000-7000-8000-00000000000b' where id = 2;
             delete from public.a_items where id = 1",
        )
        .await;
    let other = rows_of(&scene.live, OTHER).await;
    let refused = scene.restore(Wish { overwrite: true, ..wish() }).await.unwrap();
    assert_eq!((refused.applied, found(&refused, "public.a_items")), (false, [1, 0, 0, 1]));
    assert!(
        refused.refusals[0].starts_with("public.a_items: 1 of the tenant's rows"),
        "{:?}",
        refused.refusals
    );
    assert!(refused.refusals[0].contains("id = 2"), "{:?}", refused.refusals);
    assert_eq!(rows_of(&scene.live, OTHER).await, other);
}

#[tokio::test]
async fn erased_tenant_comes_back_only_if_its_former_values_may() {
    let scene = Scene::new().await;
    let before = rows_of(&scene.copy, ACME).await;
    scene
        .live(
            "delete from public.a_items where tenant_id = '00000000-0000-7000-8000-00000000000a';
             update tenancy.tenants set status = 'erased', name = '', slug = 'erased' where slug = 'acme'",
        )
        .await;
    let refused = scene.restore(wish()).await.unwrap();
    assert!(refused.refusals[0].contains("add --overwrite"), "{:?}", refused.refusals);
    assert!(scene.restore(Wish { overwrite: true, ..wish() }).await.unwrap().applied);
    assert_eq!(rows_of(&scene.live, ACME).await, before);
}

#[tokio::test]
async fn number_that_a_tenant_chose_uses_up_no_sequence() {
    let scene = Scene::new().await;
    let chosen = "insert into public.a_items (id, list_id, note, tenant_id) overriding system value
                  values (9223372036854775807, 1, 'last', '00000000-0000-7000-8000-00000000000a')";
    scene.copy.batch_execute(chosen).await.unwrap();
    assert_eq!(table(&scene.restore(wish()).await.unwrap(), "public.a_items").inserted, 1);
    let next = "insert into public.a_items (list_id, note, tenant_id)
                values (2, 'next', '00000000-0000-7000-8000-00000000000b') returning id";
    assert_eq!(scene.live.query_one(next, &[]).await.unwrap().get::<_, i64>(0), 19);
}

#[tokio::test]
async fn row_that_was_moved_to_the_tenant_is_not_removed_as_a_newer_one() {
    let scene = Scene::new().await;
    scene
        .live(
            "alter table public.a_items disable trigger all;
             update public.a_items set tenant_id = '00000000-0000-7000-8000-00000000000a' where id = 10",
        )
        .await;
    let before = rows_of(&scene.live, ACME).await;
    let refused = scene.restore(Wish { delete_newer: true, ..wish() }).await.unwrap();
    assert!(refused.refusals[0].starts_with("public.a_items: 1 of the rows"), "{:?}", refused.refusals);
    assert!(refused.refusals[0].contains("such as (10)"), "{:?}", refused.refusals);
    assert_eq!((refused.applied, rows_of(&scene.live, ACME).await), (false, before));
}

#[tokio::test]
async fn quota_that_was_taken_away_comes_back_only_if_asked_for() {
    let scene = Scene::new().await;
    let quota = "insert into tenancy.tenant_quotas (tenant_id, metric, hard_limit)
                 values ('00000000-0000-7000-8000-00000000000a', 'mails', 1000)";
    scene.copy.batch_execute(quota).await.unwrap();
    let kept = scene.restore(wish()).await.unwrap();
    let quotas = table(&kept, "tenancy.tenant_quotas");
    assert_eq!((quotas.missing, quotas.inserted), (1, 0));
    let done = scene.restore(Wish { overwrite: true, ..wish() }).await.unwrap();
    assert_eq!(table(&done, "tenancy.tenant_quotas").inserted, 1);
}

/// Triggers of a partition of its own; a domain whose check says by whom it is run.
const OWN_CODE: &str = "
    set role rowhouse_project;
    create function public.is_ours(value text) returns boolean language plpgsql as $$ begin
      if current_user <> 'rowhouse_project' then raise exception 'run as %', current_user; end if; return true; end $$;
    create domain public.careful as varchar(20) check (public.is_ours(value));
    create type public.pair as (a public.careful, b int);
    create table public.parts (id public.careful, part int, note public.careful, notes public.careful[], pair public.pair,
      primary key (id, part)) partition by list (part);
    create table public.parts_1 partition of public.parts for values in (1);
    select tenancy.protect('public.parts');
    create trigger of_all before insert on public.parts for each row execute function public.touch();
    create trigger of_one before insert on public.parts_1 for each row execute function public.touch();
    alter table public.parts_1 disable trigger of_all;
    reset role;";
const OWN_ROW: &str = "
    insert into public.parts_1 (id, part, note, notes, pair, tenant_id) values ('x', 1, 'as it was', '{a,\"b,c\"}', '(\"d,e\",2)',
      '00000000-0000-7000-8000-00000000000a');";

#[tokio::test]
async fn code_of_the_project_runs_with_its_rights_and_not_on_partitions() {
    let scene = Scene::new().await;
    for client in [&scene.live, &scene.copy] {
        client.batch_execute(OWN_CODE).await.unwrap();
    }
    let filled = format!(
        "set role rowhouse_project; alter table public.parts_1 disable trigger of_one; {OWN_ROW} \
         alter table public.parts_1 enable trigger of_one; reset role"
    );
    scene.copy.batch_execute(&filled).await.unwrap();
    let rows = "select string_agg(p::text, '|') from public.parts p";
    let before: String = scene.copy.query_one(rows, &[]).await.unwrap().get(0);

    let done = scene.restore(wish()).await.unwrap();
    assert_eq!(table(&done, "public.parts").inserted, 1, "{done:?}");
    assert_eq!(scene.live.query_one(rows, &[]).await.unwrap().get::<_, String>(0), before);
    let modes = "select string_agg(tgname || tgenabled::text, ' ' order by tgname) from pg_trigger
                 where tgrelid = 'public.parts_1'::regclass and tgname in ('of_all', 'of_one')";
    let modes: String = scene.live.query_one(modes, &[]).await.unwrap().get(0);
    assert_eq!(modes, "of_allD of_oneO");

    scene.live("set role rowhouse_project; update public.parts set note = 'later'; reset role").await;
    let done = scene.restore(Wish { overwrite: true, ..wish() }).await.unwrap();
    assert_eq!(table(&done, "public.parts").updated, 1, "{done:?}");
    assert_eq!(scene.live.query_one(rows, &[]).await.unwrap().get::<_, String>(0), before);
}

#[tokio::test]
async fn slug_that_reads_as_the_id_of_another_tenant_stands_in_nobodys_way() {
    let scene = Scene::new().await;
    let id = ACME.to_string();
    let squat = format!("update tenancy.tenants set slug = '{id}' where slug = 'other'");
    scene.live(&squat).await;
    scene.copy.batch_execute(&squat).await.unwrap();
    assert_eq!(find::tenant(&scene.live, &scene.copy, &id).await.unwrap(), ACME);
    assert_eq!(find::tenant(&scene.live, &scene.copy, "acme").await.unwrap(), ACME);
}
