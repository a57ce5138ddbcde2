//! Functions of the project that attack what calls them: they run on after their call, and look for what completes a job.

use std::time::Duration;

use rowhouse_jobs::Registry;
use rowhouse_jobs::sql_handler::SqlHandler;
use rowhouse_testkit::TestDatabase;
use tokio_postgres::Client;

use crate::support::{database, functions, idle, text, worker};

/// `public.attack` leaves a deferred trigger that puts itself off again whenever it is brought forward, so that it runs in the
/// call, after it, and at commit. Each time it notes as whom it runs and all that the session can read.
const ATTACK: &str = r#"
insert into jobs.kinds (name, handler) values ('jobs.sql', 'sql');
create table public.claims (worker uuid, lease bigint);
create function public.note_claim() returns trigger language plpgsql security definer as
  $$begin insert into public.claims values (new.worker, new.id); return new; end$$;
create trigger note_claim after insert on jobs.leases for each row execute function public.note_claim();
insert into tenancy.organizations (id, name, slug) values ('00000000-0000-0000-0000-000000000001', 'x', 'x');
insert into tenancy.tenants (id, organization_id, name, slug)
  values ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000001', 'x', 'x');
set role rowhouse_project;
create table public.seen (who text, what text);
create table public.late (n int);
grant insert on public.seen, public.late to authenticated;
create function public.attack() returns void language sql as 'insert into public.late values (3)';
create function public.look() returns trigger language plpgsql as $$
declare
  who constant text := current_user;
  seen constant text := (select string_agg(x.t, E'\n') from (
    select query as t from pg_stat_activity
    union all select statement from pg_prepared_statements
    union all select statement from pg_cursors
    union all select name || '=' || setting from pg_settings
    union all select l::text || ' ' || ((coalesce(l.classid, 0)::bigint << 32) | coalesce(l.objid, 0)::bigint) from pg_locks l
    union all select current_query()) x);
begin
  if who = 'authenticator' then
    set local role authenticated;
  end if;
  insert into public.seen values (who, seen);
  if new.n > 0 then
    set constraints all deferred;
    insert into public.late values (new.n - 1);
  end if;
  return null;
end $$;
create constraint trigger look after insert on public.late deferrable initially deferred
  for each row execute function public.look();
select jobs.allow_function('public.attack');
reset role;
"#;

async fn attacked(tenant: &str) -> (TestDatabase, Client) {
    let db = database().await;
    let client = db.superuser().await;
    client.batch_execute(ATTACK).await.unwrap();
    let mut registry = Registry::new();
    registry.add(SqlHandler::kind(), functions(&db));
    let job = format!(
        "select jobs.enqueue('jobs.sql', '{{\"function\": \"public.attack\"}}', tenant => {tenant}, max_attempts => 1)"
    );
    client.batch_execute(&job).await.unwrap();
    let running = worker(&db, registry).await;
    idle(&client).await;
    running.stop(Duration::from_secs(5)).await;
    (db, client)
}

#[tokio::test]
async fn nothing_that_a_call_can_read_shows_the_numbers_that_complete_it() {
    let (_db, client) = attacked("'00000000-0000-0000-0000-000000000001'").await;
    // In the call; and after it, up to its commit.
    let ran = "select string_agg(distinct who, ' ' order by who) from public.seen";
    assert_eq!(text(&client, ran).await, "authenticated authenticator");
    let found = "select count(*)::text from public.seen s, public.claims c \
        where s.what like '%' || c.worker || '%' or s.what like '%' || c.lease || '%'";
    assert_eq!(text(&client, found).await, "0");
}

#[tokio::test]
async fn triggers_that_put_themselves_off_never_run_as_the_platform() {
    for tenant in ["null", "'00000000-0000-0000-0000-000000000001'"] {
        let (_db, client) = attacked(tenant).await;
        let platform = "select count(*)::text from public.seen \
            where who not in ('rowhouse_project', 'authenticated', 'authenticator')";
        assert_eq!(text(&client, platform).await, "0", "{tenant}");
    }
}
