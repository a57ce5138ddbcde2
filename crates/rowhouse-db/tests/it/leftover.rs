//! State that one caller leaves in a database session is removed before the next, however its request ended.

use rowhouse_db::flight::{Access, Query, RequestContext};
use rowhouse_db::{Control, DbError, DbSettings, Logins, Sharing, Transaction, bootstrap};
use rowhouse_kernel::{Caller, Operation, Secret};
use rowhouse_testkit::Cluster;

use crate::support::{Harness, abandon, context, one_connection, service};

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

async fn harness() -> Harness {
    let harness = Harness::new(DbSettings { control_pool_size: 2, ..one_connection() }).await;
    let grant = "grant temporary on database current to public";
    let database: String =
        harness.db.superuser().await.query_one("select current_database()", &[]).await.unwrap().get(0);
    let grant = grant.replace("database current", &format!("database {database:?}"));
    harness.db.superuser().await.batch_execute(&grant).await.unwrap();
    harness.db.migrate(FUNCTIONS).await;
    harness
}

async fn found(harness: &Harness, caller: &Caller, ask: &str) -> String {
    let query = Query { sql: "select public.ask($1)".into(), params: vec![Some(ask.to_owned().into())] };
    let reading = RequestContext { access: Access::ReadOnly, ..context(caller) };
    let rows = harness.database.data.fly(&reading, &query).await.unwrap();
    String::from_utf8(rows[0][0].as_deref().unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn session_state_of_a_caller_does_not_reach_the_next() {
    let harness = harness().await;
    let (a, b) = (harness.sign_up("a@example.com").await, harness.sign_up("b@example.com").await);
    let backend = found(&harness, &a, "select pg_backend_pid()").await;
    for (kind, leave, ask) in KINDS {
        harness.fly(&a, "select public.run($1)", &[leave]).await.unwrap();
        assert_ne!(found(&harness, &a, ask).await, "0", "{kind}: it was there");
        assert_eq!(found(&harness, &b, ask).await, "0", "{kind}");
    }
    for (kind, leave, ask) in KINDS {
        harness.fly(&a, "select public.run_and_fail($1)", &[leave]).await.unwrap_err();
        assert_eq!(found(&harness, &b, ask).await, "0", "{kind}, of a request that failed");
    }
    assert_eq!(found(&harness, &a, "select pg_backend_pid()").await, backend, "it was one connection");
}

#[tokio::test]
async fn session_is_cleared_between_anonymous_callers() {
    let harness = harness().await;
    let anon = Caller::anonymous();
    for (kind, leave, ask) in KINDS {
        harness.fly(&anon, "select public.run($1)", &[leave]).await.unwrap();
        assert_eq!(found(&harness, &anon, ask).await, "0", "{kind}");
    }
}

#[tokio::test]
async fn session_is_cleared_between_requests_of_service_keys() {
    let harness = harness().await;
    for (kind, leave, ask) in KINDS {
        harness.fly(&service(), "select public.run($1)", &[leave]).await.unwrap();
        assert_eq!(found(&harness, &service(), ask).await, "0", "{kind}");
    }
}

/// A time-out that no statement can keep makes clearing itself fail.
#[tokio::test]
async fn session_that_cannot_be_cleared_is_not_used() {
    let harness = harness().await;
    let (a, b) = (harness.sign_up("a@example.com").await, harness.sign_up("b@example.com").await);
    harness.fly(&a, "select public.run($1)", &["deallocate all"]).await.unwrap();
    harness.fly(&a, "select public.run($1)", &["set statement_timeout = 1"]).await.unwrap();
    let timeout = harness.text(&b, "select current_setting('statement_timeout')").await.unwrap();
    assert_eq!(timeout, "8s", "as the settings say");
    assert_eq!(harness.text(&b, "select current_setting('jit')").await.unwrap(), "off");
}

#[tokio::test]
async fn dropped_request_leaves_no_session_state() {
    let harness = harness().await;
    let (a, b) = (harness.sign_up("a@example.com").await, harness.sign_up("b@example.com").await);
    let sql = "select public.run('prepare kept as select 1'), pg_advisory_lock(7), pg_sleep(30)";
    let query = Query { sql: sql.into(), params: Vec::new() };
    let leaving = context(&a);
    abandon(&harness, harness.database.data.fly(&leaving, &query)).await;
    for (kind, _, ask) in KINDS {
        assert_eq!(found(&harness, &b, ask).await, "0", "{kind}");
    }
}

#[tokio::test]
async fn session_is_cleared_before_an_import() {
    let harness = harness().await;
    let (a, b) = (harness.sign_up("a@example.com").await, harness.sign_up("b@example.com").await);
    for (kind, leave, ask) in KINDS {
        harness.fly(&a, "select public.run($1)", &[leave]).await.unwrap();
        let batch = Query { sql: "select public.ask($1)".into(), params: vec![Some(ask.to_owned().into())] };
        let context = RequestContext { path: "/import", ..context(&b) };
        let import = harness.database.data.import(&context, &batch).await.unwrap();
        assert_eq!(import.finish().await.unwrap(), [[Some("0".into())]], "{kind}");
    }
}

/// On shared connections users see only state that they left themselves.
#[tokio::test]
async fn concurrent_users_do_not_see_each_other_s_session_state() {
    let harness = Harness::new(DbSettings { data_pool_size: 3, ..one_connection() }).await;
    harness.db.migrate(FUNCTIONS).await;
    let users =
        [harness.sign_up("a@example.com").await, harness.sign_up("b@example.com").await, Caller::anonymous()];
    let one = async |n: usize| {
        let (name, user) = (format!("of {}", n % 3), &users[n % 3]);
        let keep = format!("select set_config('app.note', '{name}', false)");
        let note = "select coalesce(current_setting('app.note', true), '')";
        for _ in 0..20 {
            let noted = found(&harness, user, note).await;
            assert!(noted.is_empty() || noted == name, "{name} reads {noted}");
            found(&harness, user, &keep).await;
        }
    };
    futures_util::future::join_all((0..12).map(one)).await;
}

/// What the program's own transactions and statements find, by text.
async fn in_both_ways(control: &Control, sql: &str) -> [String; 2] {
    let text = |row: &tokio_postgres::Row| row.get::<_, String>(0);
    let sql = format!("select ({sql})::text");
    let operation = Operation::system("test.in_both_ways");
    let in_transaction = async |tx: &Transaction<'_>| Ok::<_, DbError>(text(&tx.query_one(&sql, &[]).await?));
    let alone =
        async |client: &tokio_postgres::Client| Ok::<_, DbError>(text(&client.query_one(&sql, &[]).await?));
    let first = control.run_tx(&operation, in_transaction).await.unwrap();
    [first, control.statement(&operation, alone).await.unwrap()]
}

/// Runs `sql` as a function of the project with its owner's rights does, in a transaction that ends well or not.
async fn run_project_code(control: &Control, sql: &str, ends_well: bool) {
    let work = async |tx: &Transaction<'_>| {
        tx.execute("select public.run($1)", &[&sql]).await?;
        if ends_well { Ok(()) } else { Err(DbError::Protocol("failed".into())) }
    };
    let ended = control.run_tx(&Operation::system("test.project"), work).await;
    assert_eq!(ended.is_ok(), ends_well, "{ended:?}");
}

#[tokio::test]
async fn nothing_that_project_code_leaves_reaches_the_programs_own_statements() {
    let harness = harness().await;
    harness.db.migrate("alter function public.run(text) security definer").await;
    let control = &harness.database.control;
    let mut backends = std::collections::BTreeSet::new();
    for ends_well in [true, false] {
        // What is prepared can stand in the place of the client's own statements: that connection is closed.
        for (kind, leave, ask) in KINDS.into_iter().filter(|(kind, ..)| *kind != "prepared statement") {
            run_project_code(control, leave, ends_well).await;
            assert_eq!(in_both_ways(control, ask).await, ["0", "0"], "{kind}, {ends_well}");
            backends.extend(in_both_ways(control, "select pg_backend_pid()").await);
        }
        for (setting, value) in
            [("statement_timeout", "30s"), ("lock_timeout", "10s"), ("row_security", "on")]
        {
            run_project_code(control, &format!("select set_config('{setting}', '0', false)"), ends_well)
                .await;
            let found = in_both_ways(control, &format!("select current_setting('{setting}')")).await;
            assert_eq!(found, [value, value], "{setting}");
        }
    }
    assert!(backends.len() <= 2, "as many connections as the pool has: {backends:?}");
    for ends_well in [true, false] {
        run_project_code(control, "prepare kept as select 1", ends_well).await;
        let count = "select count(*) from pg_prepared_statements where from_sql";
        assert_eq!(in_both_ways(control, count).await, ["0", "0"]);
    }
}

#[tokio::test]
async fn names_in_the_programs_statements_never_lead_to_the_project() {
    let harness = harness().await;
    let theirs = "alter function public.run(text) security definer; \
        create function theirs.now() returns timestamptz language sql as $$ select '-infinity'::timestamptz $$; \
        create function theirs.same(int, int) returns boolean language sql as 'select false'; \
        create operator theirs.= (function = theirs.same, leftarg = int, rightarg = int); \
        create function public.repeat(int, int) returns text language sql as $$ select 'theirs' $$";
    let schema = "create schema theirs authorization rowhouse_project";
    harness.db.superuser().await.batch_execute(schema).await.unwrap();
    harness.db.migrate(theirs).await;
    let control = &harness.database.control;
    let path = "select set_config('search_path', 'theirs, pg_catalog', false)";
    for ends_well in [true, false] {
        run_project_code(control, path, ends_well).await;
        assert_eq!(
            in_both_ways(control, "select now() > 'epoch' and 1::int = 1::int").await,
            ["true", "true"]
        );
    }
    // Nor without any doing of the project: what fits better than PostgreSQL's own function is not looked for in `public`.
    let operation = Operation::system("test.better_fit");
    let call = async |client: &tokio_postgres::Client| {
        client.query_one("select repeat(1, 2)", &[]).await.map(drop).map_err(DbError::from)
    };
    assert_eq!(control.statement(&operation, call).await.unwrap_err().code(), Some("42883"));
}

/// A time-out that no statement can keep, left behind by a transaction that ends within it.
#[tokio::test]
async fn session_of_the_program_that_cannot_be_cleared_is_closed() {
    let harness = harness().await;
    harness.db.migrate("alter function public.run(text) security definer").await;
    let control = &harness.database.control;
    for _ in 0..20 {
        let work = async |tx: &Transaction<'_>| {
            let leave = "select set_config('statement_timeout', '1', false)";
            tx.execute("select public.run($1)", &[&leave]).await.map(drop).map_err(DbError::from)
        };
        // It may be over before the transaction ends.
        let _either = control.run_tx(&Operation::system("test.timeout"), work).await;
        assert_eq!(
            in_both_ways(control, "select current_setting('statement_timeout')").await,
            ["30s", "30s"]
        );
    }
}

/// What prepares a database runs as a superuser.
#[tokio::test]
async fn names_in_an_administrators_statements_never_lead_to_the_project() {
    let harness = harness().await;
    let theirs = "create table public.ran (who text); \
        create function public.has_database_privilege(oid, name, text) returns boolean language plpgsql as \
          $$ begin insert into public.ran values (current_user); return true; end $$";
    harness.db.migrate(theirs).await;
    let url = Secret::new(Cluster::shared().url("postgres", &harness.db.name));
    let administrator = rowhouse_db::connect(&url).await.unwrap();
    let logins = Logins::new(None, &harness.db.urls.data).unwrap();
    bootstrap(&administrator, &logins, Sharing::Accept).await.unwrap();
    let ran = administrator.query_one("select count(*) from public.ran", &[]).await.unwrap();
    assert_eq!(ran.get::<_, i64>(0), 0);
}
