//! What the data API can do that PostgREST cannot: QUERY, `distinct`, `having` and order by aggregate.

use reqwest::{Method, RequestBuilder, StatusCode};
use rowhouse_rest::RestSettings;
use rowhouse_testkit::{LIMIT, until};
use serde_json::{Value, json};

use crate::support::{SignedIn, TestApp, settings};

const FORM: &str = "application/x-www-form-urlencoded";

async fn arrange() -> (TestApp, SignedIn) {
    let mut settings = settings();
    settings.update(|rest: &mut RestSettings| rest.aggregates = true);
    let app = TestApp::start_with(settings).await;
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
    until("the function is known", LIMIT, async || call().await.code() != "PGRST202").await;
    let answer = call().await;
    assert_eq!((answer.status, answer.code()), (StatusCode::METHOD_NOT_ALLOWED, "25006".to_owned()));
}

#[tokio::test]
async fn query_is_announced_in_cors_and_accept_query() {
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

/// Path, then what is answered: status, `Content-Range`, body.
async fn assert_answers(cases: &[(&str, u16, &str, &str)]) {
    let (app, user) = arrange().await;
    let mut wrong = Vec::new();
    for (path, status, range, body) in cases {
        let request = app.request(Method::GET, &format!("/rest/v1{path}")).bearer_auth(&user.token);
        let answer = app.send(request.header("prefer", "count=exact")).await;
        let found = answer.headers.get("content-range").map_or("", |range| range.to_str().unwrap());
        let text = answer.text.replace(", \n ", ",").replace(": ", ":").replace(", ", ",");
        if (answer.status.as_u16(), found, text.as_str()) != (*status, *range, *body) {
            wrong.push(format!("{path}\n  {} {found} {text}", answer.status.as_u16()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn distinct_keeps_the_first_of_each() {
    assert_answers(&[
        // the highest rank of each list
        (
            "/todos?select=title&distinct=(list_id)&order=rank.desc",
            200,
            "0-1/2",
            r#"[{"title":"eggs"},{"title":"report"}]"#,
        ),
        (
            "/todos?select=title&distinct=(list_id)&order=rank,list_id.desc&limit=1",
            206,
            "0-0/2",
            r#"[{"title":"report"}]"#,
        ),
        ("/todos?select=title&distinct=(list_id)&order=rank&offset=1", 206, "1-1/2", r#"[{"title":"report"}]"#),
        ("/todos?select=list_id&distinct=()&order=list_id", 200, "0-1/2", r#"[{"list_id":1},{"list_id":2}]"#),
        ("/todos?select=list_id&distinct=()&order=list_id.desc&limit=1", 206, "0-0/2", r#"[{"list_id":2}]"#),
        ("/todos?select=...lists(name)&distinct=()&order=lists(name)", 200, "0-1/2", r#"[{"name":"home"},{"name":"work"}]"#),
        ("/todos?select=lists(name)&distinct=()&limit=1", 206, "0-0/2", r#"[{"lists":{"name":"home"}}]"#),
        ("/todos?select=details->>x,title&distinct=(details->>x)&order=details->>x,title", 200, "0-0/1", r#"[{"x":null,"title":"bread"}]"#),
        (
            "/lists?select=name,todos(title)&todos.distinct=(list_id)&todos.order=rank&order=id",
            200,
            "0-1/2",
            r#"[{"name":"home","todos":[{"title":"bread"}]},{"name":"work","todos":[{"title":"report"}]}]"#,
        ),
        ("/lists?select=name,todos(done)&todos.distinct=()&id=eq.1", 200, "0-0/1", r#"[{"name":"home","todos":[{"done":false}]}]"#),
        ("/rpc/open_todos?select=title&distinct=(list_id)&order=rank", 200, "0-1/2", r#"[{"title":"bread"},{"title":"report"}]"#),
        ("/todos?distinct=eq.x&select=title", 400, "", r#"{"code":"42703","message":"column todos.distinct does not exist","details":null,"hint":null}"#),
        (
            "/todos?select=title&distinct=()&order=rank",
            400,
            "",
            r#"{"code":"PGRST190","message":"distinct rows can only be ordered by columns that are selected","details":null,"hint":null}"#,
        ),
    ])
    .await;
}

#[tokio::test]
async fn groups_are_filtered_and_ordered_by_their_aggregates() {
    assert_answers(&[
        (
            "/todos?select=list_id,rank.sum()&order=rank.sum().desc",
            200,
            "0-1/2",
            r#"[{"list_id":1,"sum":7},{"list_id":2,"sum":3}]"#,
        ),
        ("/todos?select=list_id&having=(count().gte.2)", 200, "0-0/1", r#"[{"list_id":1}]"#),
        ("/todos?select=list_id&having=(rank.sum().lt.5,count().gte.1)", 200, "0-0/1", r#"[{"list_id":2}]"#),
        (
            "/todos?select=list_id&having=(or(rank.max().eq.3,rank.min().in.(7,1)))&order=count().desc&limit=1",
            206,
            "0-0/2",
            r#"[{"list_id":1}]"#,
        ),
        ("/todos?select=list_id&rank=gt.1&having=(not.and(count().eq.2,rank.max().eq.4))", 200, "0-0/1", r#"[{"list_id":2}]"#),
        ("/todos?select=details->>x,count()&having=(count().eq.4)&order=details->>x", 200, "0-0/1", r#"[{"x":null,"count":4}]"#),
        // lists of more than two, without showing what is in them
        ("/lists?select=name,todos!inner()&todos.having=(count().gt.2)", 200, "0-0/1", r#"[{"name":"home"}]"#),
        (
            "/lists?select=name,todos!inner(count())&todos.having=(count().gt.2)&limit=5",
            200,
            "0-0/1",
            r#"[{"name":"home","todos":[{"count":3}]}]"#,
        ),
        (
            "/lists?select=name,todos(done,count())&todos.having=(count().lt.2)&order=id",
            200,
            "0-1/2",
            r#"[{"name":"home","todos":[]},{"name":"work","todos":[{"done":false,"count":1}]}]"#,
        ),
        ("/lists?select=name,todos()&todos.having=(count().lt.2)&todos=not.is.null&limit=3", 200, "0-0/1", r#"[{"name":"work"}]"#),
        ("/rpc/open_todos?select=list_id&having=(rank.max().gt.3)", 200, "0-0/1", r#"[{"list_id":1}]"#),
        ("/todos?select=id&having=(nothing.sum().gt.1)", 400, "", r#"{"code":"42703","message":"column todos.nothing does not exist","details":null,"hint":null}"#),
        (
            "/todos?select=list_id&having=(list_id.gt.1)",
            400,
            "",
            r#"{"code":"PGRST100","message":"\"failed to parse having ((list_id.gt.1))\" (line 1,column 5)","details":"unexpected \"l\" expecting aggregate (count(),column.sum(),...) or logic operator (and,or)","hint":null}"#,
        ),
        (
            "/todos?having=(count().gt.1)",
            400,
            "",
            r#"{"code":"PGRST190","message":"having and order by aggregate need a select that names the columns to group by","details":null,"hint":null}"#,
        ),
    ])
    .await;
}
