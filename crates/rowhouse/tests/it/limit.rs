//! Limits of roles and tenants over HTTP: clear refusals, nothing written, no effect on others.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use rowhouse_crypto::Purpose;
use rowhouse_kernel::TenantId;
use rowhouse_tenancy::limit::{self, Limits};
use rowhouse_testkit::{LIMIT, until, until_some};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::support::{SignedIn, TestApp, TestResponse, claims};

/// Functions that try to lift a limit, a slow one and a costly one.
const FUNCTIONS: &str = "
create function public.nap(seconds float) returns int language plpgsql volatile as
  $$ begin perform pg_sleep(seconds); return 1; end $$;
create function public.nap_long(seconds float) returns int language plpgsql volatile set statement_timeout = '20s' as
  $$ begin perform pg_sleep(seconds); return 1; end $$;
create function public.lift() returns int language plpgsql volatile as $$ begin
  perform set_config(name, value, false) from (values ('statement_timeout', '0'), ('rowhouse.max_rows', '1000000'),
    ('rowhouse.max_cost', '1000000000')) as s (name, value);
  return 1; end $$;
create function public.lift_and_nap(seconds float) returns int language plpgsql volatile as
  $$ begin set local statement_timeout = 0; perform pg_sleep(seconds); return 1; end $$;
create function public.numbers() returns setof int language sql stable as $$ select generate_series(1, 50) $$;
create table public.facts (id int primary key, name text not null);
insert into public.facts select n, 'fact ' || n from generate_series(1, 20000) n;
analyze public.facts;
select tenancy.share('public.facts');
grant select on public.facts to authenticated";

struct Harness {
    app: TestApp,
    superuser: Client,
    limited: SignedIn,
    other: SignedIn,
}

impl Harness {
    async fn start() -> Self {
        let app = TestApp::start().await;
        app.db.migrate(FUNCTIONS).await;
        let (limited, other) = (app.sign_up("a@example.com").await, app.sign_up("b@example.com").await);
        let superuser = app.db.superuser().await;
        let harness = Self { app, superuser, limited, other };
        harness.notify("notify pgrst").await;
        harness.success(&harness.limited, "POST", "/rpc/nap", json!({ "seconds": 0 })).await;
        harness
    }

    async fn notify(&self, sql: &str) {
        self.superuser.batch_execute(sql).await.unwrap();
    }

    /// Gives the first user's tenant `limits`, in place of former ones.
    async fn limit(&self, limits: Limits) {
        let tenant: TenantId = self.limited.tenant.parse().unwrap();
        limit::replace(&self.superuser, tenant, limits).await.unwrap();
        assert_eq!(limit::find(&self.superuser, tenant).await.unwrap(), Some(limits));
    }

    /// A user under a role of its own, so that other tests on the same server keep theirs, with `settings`.
    async fn user_with_role(&self, user: &SignedIn, settings: &[(&str, &str)]) -> SignedIn {
        let role = format!("limited_{}", self.app.db.name);
        let mut sql =
            format!("create role {role}; grant authenticated to {role}; grant {role} to authenticator;");
        for (name, value) in settings {
            sql += &format!("alter role {role} set {name} = '{value}';");
        }
        sql += &format!("update auth.users set role = '{role}' where id = '{}';", user.id);
        self.notify(&format!("{sql} notify pgrst")).await;
        let mut claims = claims(&user.token);
        claims["role"] = json!(role);
        let token = self.app.keys.ring().sign(&claims, Purpose::Access).unwrap();
        SignedIn { token, ..user.clone() }
    }

    async fn answer(&self, user: &SignedIn, method: &str, path: &str, body: Value) -> TestResponse {
        let body = (!body.is_null()).then_some(body);
        self.app.call(&user.token, method.parse::<Method>().unwrap(), &format!("/rest/v1{path}"), body).await
    }

    async fn call(&self, user: &SignedIn, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let answer = self.answer(user, method, path, body).await;
        (answer.status, answer.json())
    }

    /// Repeats a call until the server has read a changed limit and refuses it.
    async fn refusal(&self, user: &SignedIn, method: &str, path: &str, body: Value) -> Value {
        let refused = async || {
            let (status, answer) = self.call(user, method, path, body.clone()).await;
            let refused = status == StatusCode::UNPROCESSABLE_ENTITY;
            assert!(refused || status.is_success(), "{status} {answer}");
            refused.then_some(answer)
        };
        until_some(format!("{method} {path} is refused"), LIMIT, refused).await
    }

    /// Repeats a call until the server has read a changed limit and accepts it.
    async fn success(&self, user: &SignedIn, method: &str, path: &str, body: Value) {
        let passes = async || self.call(user, method, path, body.clone()).await.0 == StatusCode::OK;
        until(format!("{method} {path} passes"), LIMIT, passes).await;
    }
}

fn time(milliseconds: u64) -> Limits {
    Limits { statement_timeout: Some(Duration::from_millis(milliseconds)), ..Limits::default() }
}

fn rows(rows: i64) -> Limits {
    Limits { max_rows: Some(rows), ..Limits::default() }
}

fn cost(cost: f64) -> Limits {
    Limits { max_cost: Some(cost), ..Limits::default() }
}

#[tokio::test]
async fn statement_beyond_the_roles_timeout_is_reported_as_a_limit() {
    let harness = Harness::start().await;
    let user = harness.user_with_role(&harness.limited, &[("statement_timeout", "100ms")]).await;
    let refusal = harness.refusal(&user, "POST", "/rpc/nap", json!({ "seconds": 1 })).await;
    assert_eq!(refusal["code"], "57014");
    assert_eq!(refusal["message"], "canceling statement due to statement timeout");
    let details = refusal["details"].as_str().unwrap();
    assert!(
        details.starts_with("Statements of the role limited_") && details.ends_with(" may run for 100 ms.")
    );
    assert!(refusal["hint"].is_string(), "{refusal}");
    let own = harness.call(&user, "POST", "/rpc/nap_long", json!({ "seconds": 0.3 })).await;
    assert_eq!(own, (StatusCode::OK, json!(1)), "the function's own limit takes the place of the role's");
    harness.notify("update auth.users set role = 'authenticated'").await;
    let free = harness.call(&harness.limited, "POST", "/rpc/nap", json!({ "seconds": 0.3 })).await;
    assert_eq!(free, (StatusCode::OK, json!(1)), "another role of the same tenant");
}

#[tokio::test]
async fn tenants_timeout_applies_to_that_tenant_at_once_and_until_it_is_cleared() {
    let harness = Harness::start().await;
    harness.limit(time(100)).await;
    for path in ["/rpc/nap", "/rpc/nap_long", "/rpc/lift_and_nap"] {
        let refusal = harness.refusal(&harness.limited, "POST", path, json!({ "seconds": 1 })).await;
        assert_eq!(refusal["code"], "57014", "{path}");
        assert_eq!(refusal["details"], "Statements of this tenant may run for 100 ms.", "{path}");
    }
    let free = harness.call(&harness.other, "POST", "/rpc/nap", json!({ "seconds": 0.3 })).await;
    assert_eq!(free, (StatusCode::OK, json!(1)), "another tenant");
    harness.limit(Limits::default()).await;
    harness.success(&harness.limited, "POST", "/rpc/nap", json!({ "seconds": 0.3 })).await;
}

#[tokio::test]
async fn read_is_capped_by_the_limit_and_refused_beyond_it() {
    let harness = Harness::start().await;
    harness.limit(rows(10)).await;
    let refusal = harness.refusal(&harness.limited, "GET", "/facts?limit=11", Value::Null).await;
    assert_eq!(
        refusal,
        json!({
            "code": "RHL01", "message": "The request asks for more rows than allowed",
            "details": "11 rows were asked for; this tenant may have 10 at a time.",
            "hint": "Ask for pages of at most that many rows, with limit and offset.",
        })
    );
    for path in ["/facts?select=id", "/facts?select=id&limit=10&offset=30", "/rpc/numbers"] {
        let (status, page) = harness.call(&harness.limited, "GET", path, Value::Null).await;
        assert_eq!((status, page.as_array().map(Vec::len)), (StatusCode::OK, Some(10)), "{path}");
    }
    let counted =
        harness.app.request(Method::GET, "/rest/v1/facts?select=id").bearer_auth(&harness.limited.token);
    let counted = harness.app.send(counted.header("prefer", "count=exact")).await;
    assert_eq!(counted.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(
        counted.headers["content-range"], "0-9/20000",
        "who asks for the total sees that there is more"
    );
    let (status, all) = harness.call(&harness.other, "GET", "/facts?select=id&limit=500", Value::Null).await;
    assert_eq!((status, all.as_array().map(Vec::len)), (StatusCode::OK, Some(500)), "another tenant");
}

#[tokio::test]
async fn write_of_more_rows_than_the_limit_changes_nothing() {
    let harness = Harness::start().await;
    let user = &harness.limited;
    let lists = |count: usize| (0..count).map(|n| json!({ "name": format!("list {n}") })).collect::<Value>();
    harness.answer(user, "POST", "/lists", lists(5)).await;
    harness.limit(rows(3)).await;
    let writes = [
        ("POST", "/lists", lists(4), 4),
        ("PATCH", "/lists?id=gt.0", json!({ "name": "same" }), 5),
        ("DELETE", "/lists?id=gt.0", Value::Null, 5),
    ];
    harness.refusal(user, "GET", "/facts?limit=4", Value::Null).await;
    for (method, path, body, count) in writes {
        let (status, refusal) = harness.call(user, method, path, body).await;
        assert_eq!(
            (status, &refusal["code"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!("RHL01")),
            "{method}: {refusal}"
        );
        let details =
            format!("{count} rows would be written; this tenant may write 3 at a time. Nothing was changed.");
        assert_eq!(refusal["details"], details, "{method}");
    }
    let import = harness.app.request(Method::POST, "/rest/v1/lists").bearer_auth(&user.token);
    let import =
        import.header("content-type", "application/x-ndjson").body("{\"name\":\"line\"}\n".repeat(4));
    let import = harness.app.send(import).await;
    assert_eq!((import.status.as_u16(), &*import.code()), (422, "RHL01"), "an import: {}", import.text);
    let names: i64 = harness
        .superuser
        .query_one("select count(distinct name) from public.lists", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(names, 5, "everything is as it was");
    assert_eq!(harness.answer(user, "POST", "/lists", lists(3)).await.status, StatusCode::CREATED);
    let strict = harness.app.request(Method::DELETE, "/rest/v1/lists?id=gt.0").bearer_auth(&user.token);
    let strict = harness.app.send(strict.header("prefer", "handling=strict, max-affected=2")).await;
    assert_eq!(
        (strict.status, &*strict.code()),
        (StatusCode::BAD_REQUEST, "PGRST124"),
        "the client's own bound"
    );
    assert_eq!(harness.answer(&harness.other, "POST", "/lists", lists(9)).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn query_that_would_cost_too_much_is_not_run() {
    let harness = Harness::start().await;
    harness.limit(cost(50.0)).await;
    let user = &harness.limited;
    let refusal = harness.refusal(user, "GET", "/facts?select=name&name=like.*7*", Value::Null).await;
    assert_eq!(
        (&refusal["code"], &refusal["message"]),
        (&json!("RHL02"), &json!("The query costs more than allowed"))
    );
    let details = "The estimated cost of a query of this tenant may be 50. It was not run.";
    assert_eq!(refusal["details"], details, "statistics are of all tenants' rows, so the cost is not told");
    let (status, fact) = harness.call(user, "GET", "/facts?select=name&id=eq.7", Value::Null).await;
    assert_eq!((status, fact), (StatusCode::OK, json!([{ "name": "fact 7" }])), "an index makes it cheap");
    let written = harness.answer(user, "POST", "/lists", json!({ "name": "x" })).await;
    assert_eq!(written.status, StatusCode::CREATED, "{}", written.text);
    let there = harness.answer(user, "GET", "/facts?select=id&name=eq.fact%207", Value::Null).await;
    let nowhere = harness.answer(user, "GET", "/facts?select=id&name=eq.nobody", Value::Null).await;
    assert_eq!(there.status, nowhere.status, "the plan does not follow the value");
    let wrong = harness.call(user, "GET", "/facts?id=eq.x", Value::Null).await;
    assert_eq!(
        (wrong.0, &wrong.1["code"]),
        (StatusCode::BAD_REQUEST, &json!("22P02")),
        "as without a ceiling"
    );
    let (status, _) =
        harness.call(&harness.other, "GET", "/facts?select=name&name=like.*7*", Value::Null).await;
    assert_eq!(status, StatusCode::OK, "another tenant");
    harness.limit(Limits::default()).await;
    harness.success(user, "GET", "/facts?select=name&name=like.*7*", Value::Null).await;
}

/// Sizes and statistics cover all tenants' rows: a refusal by them would reveal how many another tenant has.
#[tokio::test]
async fn cost_of_other_tenants_rows_refuses_nothing() {
    let harness = Harness::start().await;
    harness.notify("analyze public.lists").await;
    harness.limit(cost(50.0)).await;
    let user = &harness.limited;
    harness.refusal(user, "GET", "/facts?name=like.*7*", Value::Null).await;
    let tenant = &harness.other.tenant;
    let rows = format!(
        "insert into public.lists (tenant_id, name) select '{tenant}', 'x' || n from generate_series(1, 20000) n"
    );
    harness.notify(&format!("{rows}; analyze public.lists")).await;
    for path in
        ["/lists?order=name", "/lists?select=*,todos(*)&name=like.*7*", "/todos?select=*,lists!inner(name)"]
    {
        let (status, answer) = harness.call(user, "GET", path, Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    }
}

#[tokio::test]
async fn role_and_tenant_limit_together_and_the_stricter_wins() {
    let harness = Harness::start().await;
    let settings = [("rowhouse.max_rows", "10"), ("rowhouse.max_cost", "1000000")];
    let user = harness.user_with_role(&harness.limited, &settings).await;
    let refusal = harness.refusal(&user, "GET", "/facts?limit=11", Value::Null).await;
    let details = refusal["details"].as_str().unwrap();
    assert!(details.contains("the role limited_") && details.contains(" may have 10 at a time"), "{details}");
    harness.limit(Limits { max_rows: Some(5), ..cost(50.0) }).await;
    harness.refusal(&user, "GET", "/facts?limit=6", Value::Null).await;
    let refusal = harness.refusal(&user, "GET", "/facts?limit=5&order=name", Value::Null).await;
    assert_eq!(refusal["code"], "RHL02", "{refusal}");
    let service = SignedIn { token: harness.app.service_key.clone(), ..user };
    let (status, all) = harness.call(&service, "GET", "/facts?limit=500&order=name", Value::Null).await;
    assert_eq!((status, all.as_array().map(Vec::len)), (StatusCode::OK, Some(500)), "service_role is free");
}

#[tokio::test]
async fn sql_of_a_caller_cannot_lift_a_limit() {
    let harness = Harness::start().await;
    harness.limit(Limits { max_rows: Some(5), max_cost: Some(50.0), ..time(500) }).await;
    let user = &harness.limited;
    harness.refusal(user, "GET", "/facts?limit=6", Value::Null).await;
    // More often than there are connections, so that each of them is affected.
    for _ in 0..8 {
        assert_eq!(harness.call(user, "POST", "/rpc/lift", json!({})).await.0, StatusCode::OK);
    }
    let codes = [
        ("GET", "/facts?limit=6", Value::Null, "RHL01"),
        ("GET", "/facts?order=name", Value::Null, "RHL02"),
        ("POST", "/rpc/nap", json!({ "seconds": 1 }), "57014"),
    ];
    for (method, path, body, code) in codes {
        let (status, refusal) = harness.call(user, method, path, body).await;
        assert_eq!((status, &refusal["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(code)), "{path}");
    }
}

#[tokio::test]
async fn callers_can_neither_read_nor_change_limits_but_the_service_role_reads_them() {
    let harness = Harness::start().await;
    harness.limit(rows(5)).await;
    for role in ["anon", "authenticated", "service_role"] {
        for sql in [
            "select * from tenancy.tenant_limits",
            "delete from tenancy.tenant_limits",
            "update tenancy.tenant_limits set max_rows = null",
            "insert into tenancy.tenant_limits select id from tenancy.tenants",
        ] {
            let attempt = format!("begin; set local role {role}; {sql}");
            let outcome = harness.superuser.batch_execute(&attempt).await;
            harness.notify("rollback").await;
            // It reads everything of tenancy.
            if role == "service_role" && sql.starts_with("select") {
                outcome.unwrap();
            } else {
                assert_eq!(outcome.unwrap_err().code().unwrap().code(), "42501", "{role}: {sql}");
            }
        }
    }
    let forced = "select relrowsecurity and relforcerowsecurity from pg_class where oid = 'tenancy.tenant_limits'::regclass";
    assert!(harness.superuser.query_one(forced, &[]).await.unwrap().get::<_, bool>(0));
    let served = harness.answer(&harness.limited, "GET", "/tenant_limits", Value::Null).await;
    assert_eq!(served.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn limits_hold_for_concurrent_requests() {
    let harness = Arc::new(Harness::start().await);
    harness.limit(rows(5)).await;
    harness.refusal(&harness.limited, "GET", "/facts?limit=6", Value::Null).await;
    let calls = (0..40).map(|n| {
        let harness = Arc::clone(&harness);
        tokio::spawn(async move {
            let user = if n % 2 == 0 { &harness.limited } else { &harness.other };
            harness.call(user, "GET", "/facts?select=id&limit=6", Value::Null).await.0
        })
    });
    for (n, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
        let expected = if n % 2 == 0 { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        assert_eq!(call.await.unwrap(), expected);
    }
}
