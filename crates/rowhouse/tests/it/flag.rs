//! Feature flags: administered over HTTP, seen by every process, asked by policies.

mod closed;
mod command;

use std::time::Duration;

use reqwest::{Method, StatusCode};
use rowhouse_flag::{Flags, Subject};
use rowhouse_kernel::TenantId;
use rowhouse_testkit::{LIMIT, until, until_own_time};
use serde_json::{Value, json};

use crate::support::{SignedIn, TestApp, TestResponse, settings};

/// Within which every process knows of a change.
const VISIBLE: Duration = Duration::from_secs(5);

fn subject(of: &SignedIn) -> Subject {
    Subject { tenant: Some(TenantId(of.tenant.parse().unwrap())), ..Subject::default() }
}

async fn admin(app: &TestApp, method: Method, path: &str, body: Value) -> TestResponse {
    let body = (!body.is_null()).then_some(body);
    app.call(&app.service_key, method, &format!("/admin/v1/flags{path}"), body).await
}

async fn create(app: &TestApp, flag: Value) {
    let made = admin(app, Method::POST, "", flag).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
}

async fn set(app: &TestApp, flag: &str, of: &str, value: &str) {
    let path = format!("/{flag}/overrides/{of}");
    let set = admin(app, Method::PUT, &path, json!({ "value": value })).await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.text);
}

async fn patch(app: &TestApp, path: &str, change: Value, seen: Option<&str>) -> TestResponse {
    let request = app.request(Method::PATCH, &format!("/admin/v1/flags{path}")).bearer_auth(&app.service_key);
    let request = seen.into_iter().fold(request, |request, tag| request.header("if-match", tag));
    app.send(request.json(&change)).await
}

#[tokio::test]
async fn flag_is_made_changed_and_deleted_and_each_change_is_audited() {
    let app = TestApp::start().await;
    let user = app.sign_up("a@example.com").await;
    let new = json!({ "name": "crm", "kind": "boolean", "owner": "Team CRM", "sunset_on": "2020-01-31" });
    create(&app, new.clone()).await;
    let taken = admin(&app, Method::POST, "", new).await;
    assert_eq!((taken.status.as_u16(), &*taken.code()), (409, "conflict"));
    let bad = json!({ "name": "Crm", "kind": "boolean", "owner": "Team CRM" });
    assert_eq!(admin(&app, Method::POST, "", bad).await.status.as_u16(), 422);
    let shown = admin(&app, Method::GET, "/crm", Value::Null).await;
    let flag = shown.json();
    assert_eq!((&flag["default_value"], &flag["is_past_sunset"]), (&json!("off"), &json!(true)));
    let tag = shown.headers["etag"].to_str().unwrap();
    let rules = json!({ "rules": [{ "tenants": [user.tenant], "value": "on" }] });
    assert_eq!(patch(&app, "/crm", rules.clone(), None).await.code(), "if_match_required");
    let changed = patch(&app, "/crm", rules.clone(), Some(tag)).await;
    assert_eq!((changed.status, &changed.json()["rules"]), (StatusCode::OK, &rules["rules"]));
    let stale = patch(&app, "/crm", json!({ "owner": "Ann" }), Some(tag)).await;
    assert_eq!((stale.status.as_u16(), &*stale.code()), (412, "changed"));
    let wrong = patch(&app, "/crm", json!({ "default_value": "rollout" }), Some("*")).await;
    assert_eq!((wrong.status.as_u16(), &*wrong.code()), (422, "invalid"));
    set(&app, "crm", &format!("user:{}", user.id), "off").await;
    let evaluate = format!("/crm/evaluate?tenant={}&user={}", user.tenant, user.id);
    let evaluated = admin(&app, Method::GET, &evaluate, Value::Null).await.json();
    assert_eq!((&evaluated["enabled"], &evaluated["reason"]), (&json!(false), &json!("user_override")));
    let path = format!("/crm/overrides/user:{}", user.id);
    assert_eq!(admin(&app, Method::DELETE, &path, Value::Null).await.status, StatusCode::NO_CONTENT);
    assert_eq!(admin(&app, Method::DELETE, &path, Value::Null).await.status, StatusCode::NOT_FOUND);
    let evaluated = admin(&app, Method::GET, &evaluate, Value::Null).await.json();
    let expected = json!({ "enabled": true, "variant": null, "reason": "rule", "rule": 1, "bucket": null });
    assert_eq!(evaluated, expected);
    assert_eq!(admin(&app, Method::DELETE, "/crm", Value::Null).await.status, StatusCode::NO_CONTENT);
    assert_eq!(admin(&app, Method::GET, "/crm", Value::Null).await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        audited(&app).await,
        ["flag_created", "flag_changed", "flag_override_set", "flag_override_removed", "flag_deleted"]
    );
}

async fn audited(app: &TestApp) -> Vec<String> {
    let sql = "select action from audit.entries where source = 'flags' and target_kind = 'flag' and target_id = 'crm'
                 and actor = 'service_role' and request_id is not null order by occurred_at";
    app.db.superuser().await.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Looked up at each request: the token does not say who is an operator.
#[tokio::test]
async fn super_admins_administer_flags_and_other_operators_do_not() {
    let app = TestApp::start().await;
    let user = app.sign_up("a@example.com").await;
    let client = app.db.superuser().await;
    let ask = async || app.get(&user.token, "/admin/v1/flags").await.status.as_u16();
    assert_eq!(ask().await, 403);
    for (role, expires_at, status) in [
        ("super_admin", "null", 200),
        ("super_admin", "now()", 403),
        ("support", "null", 403),
        ("auditor", "null", 403),
    ] {
        let sql = format!(
            "insert into tenancy.operators (user_id, role, expires_at, reason) values ('{}', '{role}', {expires_at}, 'test')
             on conflict (user_id) do update set role = excluded.role, expires_at = excluded.expires_at",
            user.id
        );
        client.batch_execute(&sql).await.unwrap();
        assert_eq!(ask().await, status, "{role} until {expires_at}");
    }
}

#[tokio::test]
async fn flags_and_overrides_are_listed_in_pages_and_searched() {
    let app = TestApp::start().await;
    for (name, owner) in [("b", "Ann"), ("a", "Ann"), ("c", "Ben")] {
        create(&app, json!({ "name": name, "kind": "percentage", "owner": owner, "percentage": 12.5 })).await;
    }
    let (mut seen, mut next) = (Vec::new(), Some("?limit=2".to_owned()));
    while let Some(path) = next {
        let page = admin(&app, Method::GET, &path, Value::Null).await.json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|flag| flag["name"].clone()));
        next = page["next"].as_str().map(|next| format!("?limit=2&cursor={next}"));
    }
    assert_eq!(seen, ["a", "b", "c"]);
    let found = admin(&app, Method::GET, "?search=BEN", Value::Null).await.json();
    assert_eq!(found["items"].as_array().unwrap().len(), 1, "{found}");
    for number in 0..3 {
        let user = app.sign_up(&format!("{number}@example.com")).await;
        set(&app, "a", &format!("user:{}", user.id), "on").await;
    }
    let page = admin(&app, Method::GET, "/a/overrides?limit=2", Value::Null).await.json();
    let rest = format!("/a/overrides?limit=2&cursor={}", page["next"].as_str().unwrap());
    let rest = admin(&app, Method::GET, &rest, Value::Null).await.json();
    assert_eq!((page["items"].as_array().unwrap().len(), rest["items"].as_array().unwrap().len()), (2, 1));
}

#[tokio::test]
async fn override_of_nobody_or_with_a_value_that_the_flag_lacks_is_refused_and_none_is_orphaned() {
    let app = TestApp::start().await;
    let user = app.sign_up("a@example.com").await;
    let variants = json!([{ "name": "red", "weight": 1 }, { "name": "blue", "weight": 0 }]);
    create(&app, json!({ "name": "crm", "kind": "variant", "owner": "Ann", "variants": variants })).await;
    let put = async |of: &str, value: &str| {
        let path = format!("/crm/overrides/{of}");
        admin(&app, Method::PUT, &path, json!({ "value": value })).await.status.as_u16()
    };
    let of = format!("tenant:{}", user.tenant);
    assert_eq!(put(&of, "green").await, 422);
    assert_eq!(put("tenant:0198d5a1-0000-7000-8000-000000000001", "red").await, 404);
    assert_eq!(put(&user.tenant, "red").await, 400);
    assert_eq!(put(&of, "blue").await, 200);
    let fewer = json!({ "variants": [{ "name": "red", "weight": 1 }] });
    assert_eq!(patch(&app, "/crm", fewer.clone(), Some("*")).await.status.as_u16(), 409);
    assert_eq!(put(&of, "red").await, 200);
    assert_eq!(patch(&app, "/crm", fewer, Some("*")).await.status.as_u16(), 200);
}

#[tokio::test]
async fn change_is_visible_on_another_process_also_after_its_connection_was_lost() {
    let first = TestApp::start().await;
    let second = TestApp::start_on(first.db.clone(), settings()).await;
    let flags = second.provided::<Flags>();
    let user = first.sign_up("a@example.com").await;
    create(&first, json!({ "name": "crm", "kind": "boolean", "owner": "Ann" })).await;
    let of = format!("tenant:{}", user.tenant);
    set(&first, "crm", &of, "on").await;
    until_own_time("the other process knows", VISIBLE, async || flags.is_enabled("crm", &subject(&user)))
        .await;
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity
                where application_name = 'rowhouse-listen' and datname = current_database()";
    let client = first.db.superuser().await;
    assert_eq!(client.query(kill, &[]).await.unwrap().len(), 2);
    set(&first, "crm", &of, "off").await;
    until("the other process knows again", LIMIT, async || !flags.is_enabled("crm", &subject(&user))).await;
    // By notification again, not by the reload after the loss.
    set(&first, "crm", &of, "on").await;
    until_own_time("it listens again", VISIBLE, async || flags.is_enabled("crm", &subject(&user))).await;
}

#[tokio::test]
async fn policy_shows_rows_to_those_for_whom_the_flag_is_on() {
    let app = TestApp::start().await;
    let table = "create table public.crm_deals (id int primary key);
        alter table public.crm_deals enable row level security;
        alter table public.crm_deals force row level security;
        create policy with_crm on public.crm_deals to authenticated using ((select flags.enabled('crm')));
        create policy all_rows on public.crm_deals to rowhouse_project using (true) with check (true);
        grant select on public.crm_deals to authenticated;
        insert into public.crm_deals values (1);
        notify pgrst, 'reload schema'";
    app.db.migrate(table).await;
    let (user, other) = (app.sign_up("a@example.com").await, app.sign_up("b@example.com").await);
    let rows = async |of: &SignedIn| app.get(&of.token, "/rest/v1/crm_deals").await.text;
    until("the table is served", LIMIT, async || rows(&user).await == "[]").await;
    create(&app, json!({ "name": "crm", "kind": "boolean", "owner": "Ann" })).await;
    set(&app, "crm", &format!("tenant:{}", user.tenant), "on").await;
    // At once: policies read the tables.
    assert_eq!((rows(&user).await, rows(&other).await), ("[{\"id\":1}]".to_owned(), "[]".to_owned()));
}

#[tokio::test]
async fn user_asks_for_the_public_flags_and_metrics_count_those_past_their_sunset() {
    let app = TestApp::start().await;
    let user = app.sign_up("a@example.com").await;
    let variants = json!([{ "name": "red", "weight": 1 }]);
    let colour = json!({ "name": "colour", "kind": "variant", "owner": "Ann", "variants": variants, "is_public": true });
    create(&app, colour).await;
    create(&app, json!({ "name": "hidden", "kind": "boolean", "owner": "Ann", "default_value": "on" })).await;
    let old = json!({ "name": "old", "kind": "boolean", "owner": "Ann", "is_public": true, "sunset_on": "2020-01-01" });
    create(&app, old).await;
    let expected = json!([
        { "name": "colour", "enabled": true, "variant": "red" },
        { "name": "old", "enabled": false, "variant": null },
    ]);
    let mine = async || app.get(&user.token, "/admin/v1/flags/mine").await.json()["items"].clone();
    until("the flags are known", LIMIT, async || mine().await == expected).await;
    let past = async || app.get(&app.service_key, "/metrics").await.text;
    until("the sunset is counted", LIMIT, async || past().await.contains("rowhouse_flags_past_sunset 1"))
        .await;
}
