//! State that one caller leaves in a database session is removed before the next, however its request ended.

use rowhouse_db::DbSettings;
use rowhouse_db::flight::{Access, Query, RequestContext};
use rowhouse_kernel::Caller;

use crate::support::{World, context, one_connection, service};

/// What a project's functions can leave in a session, and a query by which the next caller would see it; empty if
/// nothing is left.
const KINDS: [(&str, &str, &str); 11] = [
    (
        "held cursor",
        "declare held cursor with hold for select 1",
        "select count(*) from pg_cursors where name <> ''",
    ),
    (
        "temporary table",
        "create temp table kept as select 1",
        "select count(*) from pg_class where relname = 'kept'",
    ),
    (
        "temporary function",
        "create function pg_temp.kept() returns int language sql as 'select 1'",
        "select count(*) from pg_proc where proname = 'kept'",
    ),
    (
        "own setting",
        "select set_config('app.note', 'mine', false)",
        "select coalesce(length(current_setting('app.note', true)), 0)",
    ),
    (
        "server setting",
        "set default_transaction_read_only = on",
        "select (current_setting('default_transaction_read_only') = 'on')::int",
    ),
    (
        "isolation",
        "set default_transaction_isolation = serializable",
        "select (current_setting('transaction_isolation') <> 'read committed')::int",
    ),
    (
        "claims",
        "select set_config('request.jwt.claim.sub', 'mine', false)",
        "select coalesce(length(current_setting('request.jwt.claim.sub', true)), 0)",
    ),
    (
        "prepared statement",
        "prepare kept as select 1",
        "select count(*) from pg_prepared_statements where from_sql",
    ),
    (
        "advisory lock",
        "select pg_advisory_lock(7)",
        "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
    ),
    ("listening", "listen kept", "select count(*) from pg_listening_channels()"),
    ("sequence value", "select nextval('public.numbers')", "select public.last_number()"),
];

const FUNCTIONS: &str = "create sequence public.numbers; grant all on public.numbers to public;
    create function public.run(sql text) returns text language plpgsql as $$ begin execute sql; return ''; end $$;
    create function public.ask(sql text) returns text language plpgsql as $$
      declare found text; begin execute sql into found; return found; end $$;
    create function public.run_and_fail(sql text) returns text language plpgsql as $$
      begin execute sql; raise exception 'failed'; end $$;
    create function public.last_number() returns text language plpgsql as $$
      begin return lastval(); exception when object_not_in_prerequisite_state then return 0; end $$;
    create table public.t (a int); grant all on public.t to anon, authenticated;";

async fn world() -> World {
    let world = World::new(one_connection()).await;
    let grant = "grant temporary on database current to public";
    let database: String =
        world.db.superuser().await.query_one("select current_database()", &[]).await.unwrap().get(0);
    let grant = grant.replace("database current", &format!("database {database:?}"));
    world.db.superuser().await.batch_execute(&grant).await.unwrap();
    world.db.migrate(FUNCTIONS).await;
    world
}

async fn found(world: &World, caller: &Caller, ask: &str) -> String {
    let query = Query { sql: "select public.ask($1)".into(), params: vec![Some(ask.to_owned().into())] };
    let reading = RequestContext { access: Access::ReadOnly, ..context(caller) };
    let rows = world.database.data.fly(&reading, &query).await.unwrap();
    String::from_utf8(rows[0][0].as_deref().unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn session_state_of_a_caller_does_not_reach_the_next() {
    let world = world().await;
    let (a, b) = (world.sign_up("a@example.com").await, world.sign_up("b@example.com").await);
    let backend = found(&world, &a, "select pg_backend_pid()").await;
    for (kind, leave, ask) in KINDS {
        world.fly(&a, "select public.run($1)", &[leave]).await.unwrap();
        assert_ne!(found(&world, &a, ask).await, "0", "{kind}: it was there");
        assert_eq!(found(&world, &b, ask).await, "0", "{kind}");
    }
    for (kind, leave, ask) in KINDS {
        world.fly(&a, "select public.run_and_fail($1)", &[leave]).await.unwrap_err();
        assert_eq!(found(&world, &b, ask).await, "0", "{kind}, of a request that failed");
    }
    assert_eq!(found(&world, &a, "select pg_backend_pid()").await, backend, "it was one connection");
}

#[tokio::test]
async fn session_is_cleared_between_anonymous_callers() {
    let world = world().await;
    let anon = Caller::anonymous();
    for (kind, leave, ask) in KINDS {
        world.fly(&anon, "select public.run($1)", &[leave]).await.unwrap();
        assert_eq!(found(&world, &anon, ask).await, "0", "{kind}");
    }
}

#[tokio::test]
async fn session_is_cleared_between_requests_of_service_keys() {
    let world = world().await;
    for (kind, leave, ask) in KINDS {
        world.fly(&service(), "select public.run($1)", &[leave]).await.unwrap();
        assert_eq!(found(&world, &service(), ask).await, "0", "{kind}");
    }
}

/// A time-out that no statement can keep makes clearing itself fail.
#[tokio::test]
async fn session_that_cannot_be_cleared_is_not_used() {
    let world = world().await;
    let (a, b) = (world.sign_up("a@example.com").await, world.sign_up("b@example.com").await);
    world.fly(&a, "select public.run($1)", &["deallocate all"]).await.unwrap();
    world.fly(&a, "select public.run($1)", &["set statement_timeout = 1"]).await.unwrap();
    let timeout = world.text(&b, "select current_setting('statement_timeout')").await.unwrap();
    assert_eq!(timeout, "8s", "as the settings say");
    assert_eq!(world.text(&b, "select current_setting('jit')").await.unwrap(), "off");
}

#[tokio::test]
async fn dropped_request_leaves_no_session_state() {
    let world = world().await;
    let (a, b) = (world.sign_up("a@example.com").await, world.sign_up("b@example.com").await);
    let sql = "select public.run('prepare kept as select 1'), pg_advisory_lock(7), pg_sleep(30)";
    let query = Query { sql: sql.into(), params: Vec::new() };
    let leaving = context(&a);
    let flight = world.database.data.fly(&leaving, &query);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(300), flight).await.is_err());
    for (kind, _, ask) in KINDS {
        assert_eq!(found(&world, &b, ask).await, "0", "{kind}");
    }
}

#[tokio::test]
async fn session_is_cleared_before_an_import() {
    let world = world().await;
    let (a, b) = (world.sign_up("a@example.com").await, world.sign_up("b@example.com").await);
    for (kind, leave, ask) in KINDS {
        world.fly(&a, "select public.run($1)", &[leave]).await.unwrap();
        let batch = Query { sql: "select public.ask($1)".into(), params: vec![Some(ask.to_owned().into())] };
        let context = RequestContext { path: "/import", ..context(&b) };
        let import = world.database.data.import(&context, &batch).await.unwrap();
        assert_eq!(import.finish().await.unwrap(), [[Some("0".into())]], "{kind}");
    }
}

/// On shared connections users see only state that they left themselves.
#[tokio::test]
async fn concurrent_users_do_not_see_each_other_s_session_state() {
    let world = World::new(DbSettings { data_pool_size: 3, ..one_connection() }).await;
    world.db.migrate(FUNCTIONS).await;
    let users =
        [world.sign_up("a@example.com").await, world.sign_up("b@example.com").await, Caller::anonymous()];
    let one = async |n: usize| {
        let (name, user) = (format!("of {}", n % 3), &users[n % 3]);
        let keep = format!("select set_config('app.note', '{name}', false)");
        let note = "select coalesce(current_setting('app.note', true), '')";
        for _ in 0..20 {
            let noted = found(&world, user, note).await;
            assert!(noted.is_empty() || noted == name, "{name} reads {noted}");
            found(&world, user, &keep).await;
        }
    };
    futures_util::future::join_all((0..12).map(one)).await;
}
