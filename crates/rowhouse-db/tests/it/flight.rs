//! Flights: each transaction has its own context, whatever ran before on the connection.

use std::time::Duration;

use rowhouse_db::DbError;
use rowhouse_kernel::Caller;
use rowhouse_testkit::until_true;

use crate::support::{Busy, Harness, abandon, context, one_connection, service, waiting};

const WHO: &str = "select current_user || '|' || coalesce(auth.tenant_id()::text, '') || '|' || current_setting('app.current_user_id', true)";

fn expected(caller: &Caller) -> String {
    let id = |id: Option<uuid::Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    format!("{}|{}|{}", caller.role, id(caller.tenant.map(|t| t.0)), id(caller.user.map(|u| u.0)))
}

fn code(result: Result<Vec<rowhouse_db::flight::Row>, DbError>) -> String {
    result.unwrap_err().code().unwrap_or("none").to_owned()
}

#[tokio::test]
async fn every_context_is_its_own_on_one_connection_with_errors_cancels_and_drops_in_between() {
    let harness = Harness::new(one_connection()).await;
    let a = harness.sign_up("a@example.com").await;
    let b = harness.sign_up("b@example.com").await;
    let anon = Caller::anonymous();
    let callers = [&a, &b, &anon];
    let backend = harness.text(&a, "select pg_backend_pid()::text").await.unwrap();
    for round in 0..60_usize {
        let caller = callers[round % 3];
        match round % 5 {
            0 => assert_eq!(code(harness.fly(caller, "select 1/0", &[]).await), "22012"),
            1 => assert_eq!(code(harness.fly(caller, "select * from no_such_table", &[]).await), "42P01"),
            2 => {
                // The request is dropped in the middle of the query.
                let sleeping = context(caller);
                let query =
                    rowhouse_db::flight::Query { sql: "select pg_sleep(30)".into(), params: Vec::new() };
                abandon(&harness, harness.database.data.fly(&sleeping, &query)).await;
            }
            3 => {
                // The caller's SQL tries to leave settings for the next one.
                let keep = "select set_config('role', 'anon', false), set_config('request.jwt.claims', '{\"tenant_id\":\"6f0b5cfc-0000-7000-8000-000000000000\"}', false), set_config('search_path', 'tenancy', false)";
                harness.fly(caller, keep, &[]).await.unwrap();
            }
            _ => {}
        }
        for next in callers {
            assert_eq!(harness.text(next, WHO).await.unwrap(), expected(next), "round {round}");
            assert_eq!(
                harness.text(next, "select current_setting('search_path')").await.unwrap(),
                "public, extensions"
            );
        }
    }
    assert_eq!(
        harness.text(&b, "select pg_backend_pid()::text").await.unwrap(),
        backend,
        "it was one connection all the way"
    );
}

#[tokio::test]
async fn caller_cannot_become_another_role() {
    let harness = Harness::new(one_connection()).await;
    let a = harness.sign_up("a@example.com").await;
    for role in ["service_role", "rowhouse_owner", "rowhouse_project", "postgres"] {
        let result = harness.fly(&a, &format!("select set_config('role', '{role}', true)"), &[]).await;
        assert_eq!(code(result), "42501", "{role}");
    }
    let result = harness.fly(&service(), "select set_config('role', 'rowhouse_owner', true)", &[]).await;
    assert_eq!(code(result), "42501");
}

#[tokio::test]
async fn ended_session_and_suspended_tenant_fail_the_next_flight() {
    let harness = Harness::new(one_connection()).await;
    let client = harness.db.superuser().await;
    let cases = [
        ("delete from auth.sessions where user_id = $1", "RH401"),
        ("update auth.users set banned_until = now() + interval '1 hour' where id = $1", "RH401"),
        ("update auth.sessions set not_after = now() where user_id = $1", "RH401"),
        ("delete from auth.users where id = $1", "RH401"),
        ("update auth.users set role = 'service_role' where id = $1", "RH401"),
        ("update tenancy.memberships set status = 'suspended' where user_id = $1", "RH403"),
        ("delete from tenancy.memberships where user_id = $1", "RH403"),
        (
            "update tenancy.tenants set status = 'suspended' where id = (select tenant_id from tenancy.memberships where user_id = $1)",
            "RH403",
        ),
        (
            "update tenancy.organizations set status = 'suspended' where slug = 'u-' || $1::uuid::text",
            "RH403",
        ),
    ];
    for (i, (sql, refusal)) in cases.into_iter().enumerate() {
        let caller = harness.sign_up(&format!("user{i}@example.com")).await;
        assert_eq!(harness.text(&caller, "select 'ok'").await.unwrap(), "ok");
        assert_eq!(client.execute(sql, &[&caller.user.unwrap().0]).await.unwrap(), 1, "{sql}");
        assert_eq!(code(harness.fly(&caller, "select 'ok'", &[]).await), refusal, "{sql}");
    }
}

#[tokio::test]
async fn opening_statement_does_not_return_the_context() {
    let harness = Harness::new(one_connection()).await;
    let (opening, _) = rowhouse_db::flight::opening();
    let statement = harness.db.superuser().await.prepare(&opening).await.unwrap();
    let types: Vec<_> = statement.columns().iter().map(|column| column.type_().name()).collect();
    assert_eq!(types, ["int4"]);
}

#[tokio::test]
async fn nothing_runs_when_the_session_has_ended() {
    let harness = Harness::new(one_connection()).await;
    harness
        .db
        .migrate("create table public.marks (n int); grant all on public.marks to anon, authenticated")
        .await;
    let caller = harness.sign_up("a@example.com").await;
    let client = harness.db.superuser().await;
    client.execute("delete from auth.sessions", &[]).await.unwrap();
    assert_eq!(code(harness.fly(&caller, "insert into public.marks values (1)", &[]).await), "RH401");
    let marks: i64 = client.query_one("select count(*) from public.marks", &[]).await.unwrap().get(0);
    assert_eq!(marks, 0);
}

#[tokio::test]
async fn statement_is_prepared_again_after_its_table_changed() {
    let harness = Harness::new(one_connection()).await;
    harness.db.migrate("create table public.things (a int); insert into public.things values (1); grant select on public.things to anon").await;
    let anon = Caller::anonymous();
    for _ in 0..8 {
        assert_eq!(harness.fly(&anon, "select * from public.things", &[]).await.unwrap()[0].len(), 1);
    }
    harness.db.migrate("alter table public.things add column b int").await;
    assert_eq!(harness.fly(&anon, "select * from public.things", &[]).await.unwrap()[0].len(), 2);
}

#[tokio::test]
async fn write_in_a_read_only_flight_is_refused() {
    let harness = Harness::new(one_connection()).await;
    harness.db.migrate("create table public.marks (n int); grant all on public.marks to anon").await;
    let anon = Caller::anonymous();
    let query =
        rowhouse_db::flight::Query { sql: "insert into public.marks values (1)".into(), params: Vec::new() };
    let reading = rowhouse_db::flight::RequestContext {
        access: rowhouse_db::flight::Access::ReadOnly,
        ..context(&anon)
    };
    assert_eq!(code(harness.database.data.fly(&reading, &query).await), "25006");
    assert!(harness.database.data.fly(&context(&anon), &query).await.is_ok());
}

#[tokio::test]
async fn more_statements_than_the_cache_holds_all_work() {
    let settings = rowhouse_db::DbSettings { statement_cache_size: 16, ..one_connection() };
    let harness = Harness::new(settings).await;
    let anon = Caller::anonymous();
    for n in (0..80).chain(0..80) {
        assert_eq!(harness.text(&anon, &format!("select '{n}'")).await.unwrap(), n.to_string());
    }
    let prepared = harness.text(&anon, "select count(*)::text from pg_prepared_statements").await.unwrap();
    assert!(prepared.parse::<usize>().unwrap() <= 16, "{prepared} statements");
}

#[tokio::test]
async fn busy_pool_times_out() {
    let settings =
        rowhouse_db::DbSettings { acquire_timeout: Duration::from_millis(100), ..one_connection() };
    let harness = Harness::new(settings).await;
    let anon = Caller::anonymous();
    let mut busy = Busy::none(&harness).await;
    busy.take(&harness).await;
    let refused = harness.fly(&anon, "select 1", &[]).await;
    assert!(matches!(refused, Err(DbError::PoolTimeout(_))), "{refused:?}");
    busy.release().await;
    harness.fly(&anon, "select 1", &[]).await.unwrap();
}

#[tokio::test]
async fn statement_that_runs_too_long_is_cancelled_by_the_server() {
    let settings =
        rowhouse_db::DbSettings { statement_timeout: Duration::from_millis(100), ..one_connection() };
    let harness = Harness::new(settings).await;
    let anon = Caller::anonymous();
    assert_eq!(code(harness.fly(&anon, "select pg_sleep(30)", &[]).await), "57014");
    assert_eq!(harness.text(&anon, "select 'next'").await.unwrap(), "next");
}

#[tokio::test]
async fn value_with_a_nul_byte_is_refused_as_the_caller_s_error() {
    let harness = Harness::new(one_connection()).await;
    let anon = Caller::anonymous();
    assert_eq!(code(harness.fly(&anon, "select $1::text", &["a\0b"]).await), "22021");
    assert_eq!(harness.text(&anon, "select 'next'").await.unwrap(), "next");
}

#[tokio::test]
async fn flight_that_rolls_back_returns_rows_and_changes_nothing() {
    let harness = Harness::new(one_connection()).await;
    harness
        .db
        .migrate(
            "create table public.pairs (id int primary key, twin int references public.pairs deferrable \
             initially deferred); grant all on public.pairs to anon",
        )
        .await;
    let anon = Caller::anonymous();
    let undone =
        rowhouse_db::flight::RequestContext { end: rowhouse_db::flight::End::Rollback, ..context(&anon) };
    let insert = |row: &str| rowhouse_db::flight::Query {
        sql: format!("insert into public.pairs values {row} returning id::text").into(),
        params: Vec::new(),
    };
    let rows = harness.database.data.fly(&undone, &insert("(1, 1)")).await.unwrap();
    assert_eq!(rows, [[Some("1".into())]]);
    assert_eq!(harness.text(&anon, "select count(*)::text from public.pairs").await.unwrap(), "0");
    assert_eq!(code(harness.database.data.fly(&undone, &insert("(1, 2)")).await), "23503");
    assert_eq!(harness.text(&anon, "select count(*)::text from public.pairs").await.unwrap(), "0");
}

/// As functions written for older servers do.
#[tokio::test]
async fn claim_left_in_the_session_does_not_apply_to_the_next_caller() {
    let harness = Harness::new(one_connection()).await;
    let leak = "create function public.leak(who text) returns text language sql as $$
        select set_config('request.jwt.claim.sub', who, false) || set_config('request.jwt.claim.role', 'service_role', false) $$";
    harness.db.migrate(leak).await;
    let (a, b) = (harness.sign_up("a@example.com").await, harness.sign_up("b@example.com").await);
    let a_id = a.user.unwrap().to_string();
    harness.text(&a, &format!("select public.leak('{a_id}')")).await.unwrap();
    let who = "select coalesce(auth.uid()::text, 'nobody') || ' ' || auth.role()";
    assert_eq!(harness.text(&b, who).await.unwrap(), format!("{} authenticated", b.user.unwrap()));
    assert_eq!(harness.text(&Caller::anonymous(), who).await.unwrap(), "nobody anon");
}

#[tokio::test]
async fn statement_whose_columns_have_changed_is_prepared_again() {
    let harness = Harness::new(one_connection()).await;
    harness.db.migrate("create table public.t (a int); insert into public.t values (1); grant select on public.t to anon").await;
    let anon = Caller::anonymous();
    assert_eq!(harness.fly(&anon, "select * from public.t", &[]).await.unwrap()[0].len(), 1);
    harness.db.migrate("alter table public.t add column b int").await;
    assert_eq!(harness.fly(&anon, "select * from public.t", &[]).await.unwrap()[0].len(), 2);
}

#[tokio::test]
async fn isolation_holds_for_one_flight_and_from_its_first_statement() {
    use rowhouse_db::flight::{Isolation, Query, RequestContext};
    let harness = Harness::new(one_connection()).await;
    let anon = Caller::anonymous();
    let show = "select current_setting('transaction_isolation')";
    for (isolation, name) in [
        (Isolation::Serializable, "serializable"),
        (Isolation::RepeatableRead, "repeatable read"),
        (Isolation::ReadCommitted, "read committed"),
    ] {
        let context = RequestContext { isolation: Some(isolation), ..context(&anon) };
        let query = Query { sql: show.into(), params: Vec::new() };
        let rows = harness.database.data.fly(&context, &query).await.unwrap();
        assert_eq!(rows, [[Some(name.into())]]);
        let broken = Query { sql: "select 1/0".into(), params: Vec::new() };
        assert_eq!(code(harness.database.data.fly(&context, &broken).await), "22012");
        assert_eq!(harness.text(&anon, show).await.unwrap(), "read committed");
    }
}

/// Two statements of one flight, the second after another transaction has committed: the first snapshot stays.
#[tokio::test]
async fn conflicting_serializable_flights_do_not_both_commit() {
    use rowhouse_db::flight::{Isolation, Query, RequestContext};
    let settings = rowhouse_db::DbSettings { data_pool_size: 2, ..one_connection() };
    let harness = Harness::new(settings).await;
    harness
        .db
        .migrate(
            "create table public.duty (n int); insert into public.duty values (1), (2); \
             grant all on public.duty to anon",
        )
        .await;
    let anon = Caller::anonymous();
    let context = RequestContext { isolation: Some(Isolation::Serializable), ..context(&anon) };
    // Each leaves one row only if it has seen two: one after the other, one row stays.
    let leave = |n: u8| Query {
        sql: format!(
            "delete from public.duty where n = {n} and (select count(*) from public.duty) = 2 \
             and pg_advisory_xact_lock_shared(9) is not null"
        )
        .into(),
        params: Vec::new(),
    };
    // Both are in the middle before either ends.
    let holder = harness.db.superuser().await;
    holder.batch_execute("select pg_advisory_lock(9)").await.unwrap();
    let release = async {
        until_true(&holder, &format!("{} = 2", waiting(9))).await;
        holder.batch_execute("select pg_advisory_unlock(9)").await.unwrap();
    };
    let (one, two) = (leave(1), leave(2));
    let plane = &harness.database.data;
    let (one, two, ()) = tokio::join!(plane.fly(&context, &one), plane.fly(&context, &two), release);
    let failed = [one, two].into_iter().filter_map(Result::err).count();
    assert_eq!(failed, 1);
    assert_eq!(harness.text(&anon, "select count(*)::text from public.duty").await.unwrap(), "1");
}
