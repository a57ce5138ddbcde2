//! What the data API can do that PostgREST cannot: QUERY.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::support::{SignedIn, TestApp};

const FORM: &str = "application/x-www-form-urlencoded";

async fn arrange() -> (TestApp, SignedIn) {
    let app = TestApp::start().await;
    let user = app.sign_up("a@example.com").await;
    app.post(&user.token, "/rest/v1/lists", json!([{ "name": "home" }, { "name": "work" }])).await;
    let row = |title: &str, rank: i32, list: i32| json!({ "title": title, "rank": rank, "list_id": list });
    let rows = [row("milk", 2, 1), row("bread", 1, 1), row("eggs", 4, 1), row("report", 3, 2)];
    let made = app.post(&user.token, "/rest/v1/todos", json!(rows)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    (app, user)
}

fn query(app: &TestApp, user: &SignedIn, path: &str, body: impl Into<String>) -> RequestBuilder {
    typed_query(app, user, path, FORM).body(body.into())
}

fn typed_query(app: &TestApp, user: &SignedIn, path: &str, media: &str) -> RequestBuilder {
    let method = Method::from_bytes(b"QUERY").unwrap();
    let request = app.request(method, &format!("/rest/v1{path}")).bearer_auth(&user.token);
    request.header("content-type", media)
}

#[tokio::test]
async fn query_answers_as_get_does() {
    let (app, user) = arrange().await;
    let path = "/todos?select=title,lists(name)&rank=gte.2&lists.name=eq.home&order=rank";
    let get = app.request(Method::GET, &format!("/rest/v1{path}")).bearer_auth(&user.token);
    let get = app.send(get.header("prefer", "count=exact").header("range", "0-1")).await;
    let (target, body) = path.split_once("&rank").unwrap();
    let asked = query(&app, &user, target, format!("rank{body}"));
    let asked = app.send(asked.header("prefer", "count=exact").header("range", "0-1")).await;
    assert_eq!(get.status, StatusCode::PARTIAL_CONTENT, "{get:?}");
    assert_eq!((get.status, &get.text), (asked.status, &asked.text));
    for name in ["content-range", "content-location", "content-type", "preference-applied"] {
        assert_eq!(get.headers.get(name), asked.headers.get(name), "{name}");
    }
    let csv =
        app.send(query(&app, &user, "/todos", "select=title&rank=eq.1").header("accept", "text/csv")).await;
    assert_eq!(csv.text, "title\nbread");
    assert_eq!(app.send(query(&app, &user, "/rpc/add", "a=1&b=2")).await.text, "3");
    let open = app.send(query(&app, &user, "/rpc/open_todos", "select=title&rank=eq.4")).await;
    assert_eq!(open.json(), json!([{ "title": "eggs" }]));
}

#[tokio::test]
async fn query_carries_a_hundred_thousand_ids() {
    let (app, user) = arrange().await;
    let ids: Vec<String> = (2..100_002).map(|id| id.to_string()).collect();
    let plain = format!("select=title&order=rank&id=in.({})", ids.join(","));
    let encoded = plain.replace(',', "%2C");
    let tree = format!("select=title&order=rank&or=(id.in.({}),title.eq.milk)", ids[1..].join(","));
    let rows = |titles: &[&str]| titles.iter().map(|title| json!({ "title": title })).collect::<Value>();
    for (body, titles) in [
        (plain, &["bread", "report", "eggs"][..]),
        (encoded, &["bread", "report", "eggs"]),
        (tree, &["milk", "report", "eggs"]),
    ] {
        let answer = app.send(query(&app, &user, "/todos", body)).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::OK, rows(titles)));
        assert_eq!(answer.headers.get("content-location"), None);
    }
}

#[tokio::test]
async fn query_cannot_write() {
    let (app, user) = arrange().await;
    let sql = "create function public.add_list() returns int language sql volatile as
        $$ insert into public.lists (name) values ('by function') returning 1 $$;
        notify pgrst, 'reload schema'";
    app.db.migrate(sql).await;
    let call = || app.send(query(&app, &user, "/rpc/add_list", ""));
    while call().await.code() == "PGRST202" {}
    let answer = call().await;
    assert_eq!((answer.status, answer.code()), (StatusCode::METHOD_NOT_ALLOWED, "25006".to_owned()));
}

#[tokio::test]
async fn query_is_offered_to_browsers_and_beside_allow() {
    let (app, user) = arrange().await;
    let preflight = app.request(Method::OPTIONS, "/rest/v1/todos").header("origin", "http://a.example");
    let preflight = app.send(preflight.header("access-control-request-method", "QUERY")).await;
    let allowed = preflight.headers["access-control-allow-methods"].to_str().unwrap();
    assert!(allowed.split(", ").any(|method| method == "QUERY"), "{allowed}");
    let options = app.send(app.request(Method::OPTIONS, "/rest/v1/todos").bearer_auth(&user.token)).await;
    assert_eq!(options.headers["allow"], "OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE");
    assert_eq!(options.headers["accept-query"], format!("\"{FORM}\"").as_str());
    let wrong = app.send(typed_query(&app, &user, "/todos", "application/json").body("{}")).await;
    assert_eq!((wrong.status, wrong.code()), (StatusCode::UNSUPPORTED_MEDIA_TYPE, "PGRST102".to_owned()));
    assert_eq!(wrong.headers["accept-query"], format!("\"{FORM}\"").as_str());
}
