//! A path of a flag that is off answers as if it did not exist, on every surface.

use reqwest::{Method, StatusCode};
use rowhouse_flag::Flags;
use rowhouse_http::{RouteGate, ServerSettings};
use rowhouse_kernel::Caller;
use rowhouse_testkit::{LIMIT, until};
use serde_json::{Value, json};

use super::{create, patch, set};
use crate::support::{TestApp, TestResponse, settings};

const METHODS: [&str; 8] = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"];
const TABLE: &str = "create table public.crm_deals (id int primary key);
    grant all on public.crm_deals to authenticated, anon;
    create function public.crm_report(a int) returns int language sql as 'select 1';
    notify pgrst, 'reload schema'";

type Whole = (u16, String, Vec<(String, String)>);

/// Status, body, and the headers that do not differ from request to request.
fn whole(answer: &TestResponse) -> Whole {
    let of_request = ["x-request-id", "date"];
    let headers = answer.headers.iter().filter(|(name, _)| !of_request.contains(&name.as_str()));
    let mut headers: Vec<(String, String)> =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    headers.sort();
    (answer.status.as_u16(), answer.text.clone(), headers)
}

async fn ask(app: &TestApp, token: &str, method: &str, path: &str) -> TestResponse {
    let method: Method = method.parse().unwrap();
    let request = app.request(method.clone(), path).bearer_auth(token);
    let has_body = ["POST", "PUT", "PATCH"].contains(&method.as_str());
    app.send(if has_body { request.json(&json!({ "id": 1 })) } else { request }).await
}

/// The answers of all methods, one after another.
async fn ask_all(app: &TestApp, token: &str, path: &str) -> Vec<Whole> {
    let mut answers = Vec::new();
    for method in METHODS {
        answers.push(whole(&ask(app, token, method, path).await));
    }
    answers
}

async fn close(app: &TestApp, flag: &str, route: &str) {
    create(app, json!({ "name": flag, "kind": "boolean", "owner": "Ann", "routes": [route] })).await;
    let flags = app.provided::<Flags>();
    until("the route is closed", LIMIT, async || flags.is_closed(route, Some(&Caller::anonymous()))).await;
}

#[tokio::test]
async fn closed_table_and_function_answer_as_before_they_were_made() {
    let mut settings = settings();
    settings.update(|server: &mut ServerSettings| server.rest_alias = Some("/api".to_owned()));
    let app = TestApp::start_with(settings).await;
    let user = app.sign_up("a@example.com").await;
    let paths = [
        "/rest/v1/crm_deals",
        "/api/crm_deals",
        "/rest/v1/crm%5Fdeals",
        "/rest/v1/rpc/crm_report",
        "/rest/v1/crm_deals?select=nope&id=eq.1",
        "/rest/v1/rpc/crm_report?a=1",
        "/rest/v1/crm_deals/1",
    ];
    let mut before = Vec::new();
    for path in paths {
        before.push(ask_all(&app, &user.token, path).await);
    }
    app.db.migrate(TABLE).await;
    until("the table is served", LIMIT, async || {
        ask(&app, &user.token, "GET", "/rest/v1/crm_deals").await.status == StatusCode::OK
    })
    .await;
    close(&app, "deals", "/rest/v1/crm_deals").await;
    close(&app, "report", "/rest/v1/rpc/crm_report").await;
    for (path, before) in paths.into_iter().zip(before) {
        assert_eq!(ask_all(&app, &user.token, path).await, before, "{path}");
    }
    for path in ["/rest/v1//crm_deals", "/rest/v1//rpc/crm_report", "/rest/v1///crm_deals"] {
        assert_eq!(ask(&app, &user.token, "GET", path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    // The service key is never kept out, and neither is who has the flag.
    assert_eq!(app.get(&app.service_key, "/rest/v1/crm_deals").await.status, StatusCode::OK);
    set(&app, "deals", &format!("tenant:{}", user.tenant), "on").await;
    until("the table is open to the tenant", LIMIT, async || {
        ask(&app, &user.token, "GET", "/rest/v1/crm_deals").await.status == StatusCode::OK
    })
    .await;
    assert_eq!(ask(&app, &app.anon_key, "GET", "/rest/v1/crm_deals").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn closed_paths_of_other_surfaces_answer_like_unknown_ones() {
    let app = TestApp::start().await;
    let user = app.sign_up("a@example.com").await;
    let tenant = format!("/admin/v1/tenants/{}", user.tenant);
    for (flag, route, path, unknown) in [
        ("sessions", "/auth/v1/sessions", "/auth/v1/sessions".to_owned(), "/auth/v1/zessions"),
        ("factors", "/auth/v1/factors", "/auth/v1/factors/1/verify".to_owned(), "/auth/v1/nothing/1/verify"),
        ("tenants", "/admin/v1/tenants", tenant, "/admin/v1/nothing/1"),
        ("mail", "/mail/v1", "/mail/v1/messages/1".to_owned(), "/mail/v1/nothing/1"),
    ] {
        let open = ask(&app, &user.token, "GET", &path).await;
        close(&app, flag, route).await;
        let unknown = ask_all(&app, &user.token, unknown).await;
        assert_eq!(unknown[0].0, 404, "{unknown:?}");
        assert_ne!(whole(&open), unknown[0], "{path} was open");
        assert_eq!(ask_all(&app, &user.token, &path).await, unknown, "{path}");
        let with_bad_token = whole(&ask(&app, "nonsense", "GET", &path).await);
        assert_eq!(with_bad_token.0, 404, "{path}: {with_bad_token:?}");
    }
}

#[tokio::test]
async fn route_that_is_taken_away_is_open_again_and_health_is_never_closed() {
    let app = TestApp::start().await;
    let user = app.sign_up("a@example.com").await;
    let refused = super::admin(
        &app,
        Method::POST,
        "",
        json!({ "name": "x", "kind": "boolean", "owner": "Ann", "routes": ["/health"] }),
    );
    assert_eq!(refused.await.status.as_u16(), 422);
    close(&app, "live", "/health/live").await;
    assert_eq!(ask(&app, &user.token, "GET", "/health/live").await.status, StatusCode::OK);
    close(&app, "all", "/auth/v1").await;
    assert_eq!(ask(&app, &user.token, "GET", "/auth/v1/user").await.status, StatusCode::NOT_FOUND);
    let opened = patch(&app, "/all", json!({ "routes": Value::Array(Vec::new()) }), Some("*")).await;
    assert_eq!(opened.status, StatusCode::OK, "{}", opened.text);
    until("it is open again", LIMIT, async || {
        ask(&app, &user.token, "GET", "/auth/v1/user").await.status == StatusCode::OK
    })
    .await;
}
