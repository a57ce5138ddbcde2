//! Requests of a tenant on its own rows, and on what it knows of others.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::dice::Dice;
use super::tenant::{Place, Tenant};
use crate::support::{TestApp, TestResponse};

/// What there is; each has as many requests as the others.
pub(super) const KINDS: [&str; 16] = [
    "list",
    "count",
    "read another's row",
    "change another's row",
    "delete another's row",
    "insert",
    "insert for another",
    "change",
    "delete",
    "call a function",
    "enqueue for another",
    "launcher",
    "read another over the admin API",
    "write to another over the admin API",
    "export",
    "switch to another",
];

/// Reads of a tenant, an organization and a user over the admin API.
const READS: [&str; 9] = [
    "/tenants/{t}",
    "/tenants/{t}/members",
    "/tenants/{t}/products",
    "/tenants/{t}/entitlements",
    "/organizations/{o}",
    "/organizations/{o}/members",
    "/organizations/{o}/tenants",
    "/organizations/{o}/invitations",
    "/organizations/{o}/audit",
];

/// Writes to them.
const WRITES: [(&str, &str, &str); 7] = [
    ("PATCH", "/tenants/{t}", r#"{"name":"taken"}"#),
    ("POST", "/tenants/{t}/suspend", r#"{"reason":"taken"}"#),
    ("POST", "/tenants/{t}/members", r#"{"user_id":"{self}","role":"owner"}"#),
    ("DELETE", "/tenants/{t}/members/{u}", ""),
    ("DELETE", "/organizations/{o}", ""),
    ("POST", "/organizations/{o}/invitations", r#"{"email":"thief@example.com","role":"owner"}"#),
    ("POST", "/organizations/{o}/api-keys", r#"{"name":"taken","scopes":["tenant:view"]}"#),
];

/// One request of a random kind; which it was.
pub(super) async fn random(app: &TestApp, dice: &mut Dice, own: &mut Tenant, all: &[Place]) -> &'static str {
    let kind = dice.pick(&KINDS).copied().unwrap();
    let other = loop {
        let other = dice.pick(all).unwrap();
        if other.mark != own.place.mark {
            break other;
        }
    };
    let answer = match kind {
        "list" => list(app, dice, own).await,
        "count" => count(app, own).await,
        "insert" | "insert for another" | "change" | "delete" => write(app, dice, own, other, kind).await,
        "call a function" | "enqueue for another" => call(app, own, other, kind).await,
        "read another's row" | "change another's row" | "delete another's row" => {
            reach(app, dice, own, other, kind).await
        }
        _ => administer(app, dice, own, other, kind).await,
    };
    own.check(kind, &answer);
    kind
}

async fn send(app: &TestApp, token: &str, method: Method, path: &str, body: Option<Value>) -> TestResponse {
    let request = app.request(method, path).header("apikey", &app.anon_key).bearer_auth(token);
    let request = request.header("prefer", "return=representation,count=exact");
    app.send(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

async fn list(app: &TestApp, dice: &mut Dice, own: &Tenant) -> TestResponse {
    let paths = [
        "/rest/v1/todos?select=*&limit=50",
        "/rest/v1/todo_titles?select=*&order=title.desc",
        "/rest/v1/todos?select=id,title,lists(*)&title=like.*mark*",
        "/rest/v1/notes?select=*",
        "/rest/v1/todos?or=(title.like.mark*,done.is.true)&offset=1",
    ];
    send(app, &own.token, Method::GET, dice.pick(&paths).unwrap(), None).await
}

async fn count(app: &TestApp, own: &Tenant) -> TestResponse {
    let answer = send(app, &own.token, Method::HEAD, "/rest/v1/todos?select=id", None).await;
    let total = answer.header("content-range").rsplit('/').next().unwrap_or_default();
    assert_eq!(total, own.todos.len().to_string(), "{}: {answer:?}", own.place.mark);
    answer
}

/// A row of another by its key: neither seen nor changed.
async fn reach(app: &TestApp, dice: &mut Dice, own: &mut Tenant, other: &Place, kind: &str) -> TestResponse {
    let path = format!("/rest/v1/todos?id=eq.{}&select=id,title", dice.pick(&other.rows).unwrap());
    let (method, body) = match kind {
        "change another's row" => (Method::PATCH, Some(json!({ "title": own.title() }))),
        "delete another's row" => (Method::DELETE, None),
        _ => (Method::GET, None),
    };
    let answer = send(app, &own.token, method, &path, body).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, "[]"), "{kind}");
    answer
}

async fn write(app: &TestApp, dice: &mut Dice, own: &mut Tenant, other: &Place, kind: &str) -> TestResponse {
    let keys: Vec<i64> = own.todos.keys().copied().collect();
    let row = dice.pick(&keys).copied().unwrap_or_default();
    let (path, title) = (format!("/rest/v1/todos?id=eq.{row}&select=id,title"), own.title());
    let answer = match kind {
        "insert" => send(app, &own.token, Method::POST, &path, Some(json!({ "title": title }))).await,
        "insert for another" => {
            let body = json!({ "title": title, "tenant_id": other.tenant });
            let answer =
                send(app, &own.token, Method::POST, "/rest/v1/todos?select=id,title", Some(body)).await;
            assert!(answer.status.is_client_error(), "{kind}: {answer:?}");
            return answer;
        }
        "change" => send(app, &own.token, Method::PATCH, &path, Some(json!({ "title": title }))).await,
        _ => send(app, &own.token, Method::DELETE, &path, None).await,
    };
    assert!(answer.status.is_success(), "{kind}: {answer:?}");
    match kind {
        "delete" => _ = own.todos.remove(&row),
        _ => own.learn(&answer),
    }
    answer
}

async fn call(app: &TestApp, own: &mut Tenant, other: &Place, kind: &str) -> TestResponse {
    if kind == "call a function" {
        return send(app, &own.token, Method::POST, "/rest/v1/rpc/open_todos", Some(json!({}))).await;
    }
    let body = json!({ "body": own.title(), "tenant": other.tenant });
    let answer = send(app, &own.token, Method::POST, "/rest/v1/rpc/later", Some(body)).await;
    assert!(answer.status.is_success(), "{kind}: {answer:?}");
    answer
}

async fn administer(app: &TestApp, dice: &mut Dice, own: &Tenant, other: &Place, kind: &str) -> TestResponse {
    let fill = |text: &str, place: &Place| {
        let text = text.replace("{t}", &place.tenant).replace("{o}", &place.organization);
        text.replace("{u}", &place.user).replace("{self}", &own.place.user)
    };
    let (method, path, body) = match kind {
        "launcher" => (Method::GET, "/admin/v1/me".to_owned(), None),
        "export" => {
            let path = fill("/admin/v1/organizations/{o}/audit/export", &own.place);
            (Method::GET, path, None)
        }
        "switch to another" => {
            (Method::POST, "/auth/v1/tenant".to_owned(), Some(json!({ "tenant_id": other.tenant })))
        }
        "read another over the admin API" => {
            (Method::GET, format!("/admin/v1{}", fill(dice.pick(&READS).unwrap(), other)), None)
        }
        _ => {
            let (method, path, body) = dice.pick(&WRITES).unwrap();
            let body = serde_json::from_str(&fill(body, other)).ok();
            (method.parse().unwrap(), format!("/admin/v1{}", fill(path, other)), body)
        }
    };
    let answer = send(app, &own.token, method, &path, body).await;
    let is_own = matches!(kind, "launcher" | "export");
    assert!(answer.status.is_success() == is_own, "{kind}, {path}: {answer:?}");
    answer
}
