//! The data API over HTTP: one golden line per request, and schema changes.

use rowhouse_http::ServerSettings;
use rowhouse_testkit::{LIMIT, until};
use std::fmt::Write as _;

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::TestApp;

/// Method, path below `/rest/v1`, headers as `name: value` lines, body.
type Case = (&'static str, &'static str, &'static str, &'static str);

const CASES: &[Case] = &[
    ("POST", "/lists", "prefer: return=representation", r#"[{"name":"home"},{"name":"work"}]"#),
    (
        "POST",
        "/todos",
        "prefer: return=minimal",
        r#"{"title":"milk","list_id":1,"rank":2,"details":{"shop":"corner"}}"#,
    ),
    (
        "POST",
        "/todos?columns=title,rank",
        "prefer: return=headers-only",
        r#"[{"title":"bread","rank":1,"ignored":true}]"#,
    ),
    (
        "POST",
        "/todos?select=title,done",
        "prefer: return=representation",
        r#"{"title":"report","list_id":2,"rank":3}"#,
    ),
    ("GET", "/todos?select=id,title&order=rank", "", ""),
    ("GET", "/todos?select=title&rank=gte.2&order=rank.desc", "", ""),
    ("GET", "/todos?select=title&or=(rank.eq.1,and(rank.gt.2,done.is.false))&order=id", "", ""),
    ("GET", "/todos?select=title&title=like.*r*&order=id", "", ""),
    ("GET", "/todos?select=title&rank=in.(1,3)&order=id", "", ""),
    ("GET", "/todos?select=title&rank=not.eq.1&order=id", "", ""),
    ("GET", "/todos?select=shop:details->>shop&details->>shop=eq.corner", "", ""),
    ("GET", "/todos?select=rank::text&order=id&limit=1", "", ""),
    ("GET", "/todos?select=title,lists(name)&list_id=not.is.null&order=id", "", ""),
    ("GET", "/lists?select=name,todos(title)&order=id", "", ""),
    ("GET", "/todos?select=title&order=id&limit=1&offset=1", "prefer: count=exact", ""),
    ("GET", "/todos?select=title&order=id", "range: 0-1", ""),
    ("HEAD", "/todos?select=id", "prefer: count=exact", ""),
    ("GET", "/todos?select=title&offset=10", "prefer: count=exact", ""),
    ("GET", "/todos?select=title&id=eq.1", "accept: application/vnd.pgrst.object+json", ""),
    ("GET", "/todos?select=title", "accept: application/vnd.pgrst.object+json", ""),
    ("PATCH", "/todos?id=eq.1&select=title,done", "prefer: return=representation", r#"{"done":true}"#),
    ("PATCH", "/todos?id=eq.99", "", r#"{"done":true}"#),
    ("PATCH", "/todos", "prefer: handling=strict, max-affected=1", r#"{"done":true}"#),
    (
        "POST",
        "/lists?on_conflict=id",
        "prefer: resolution=merge-duplicates, return=representation",
        r#"{"id":1,"name":"house"}"#,
    ),
    (
        "POST",
        "/lists?on_conflict=id",
        "prefer: resolution=ignore-duplicates, return=representation",
        r#"{"id":1,"name":"other"}"#,
    ),
    ("POST", "/rpc/add", "", r#"{"a":1,"b":2}"#),
    ("GET", "/rpc/add?a=1&b=2", "", ""),
    ("GET", "/rpc/open_todos?select=title&rank=eq.3", "", ""),
    ("GET", "/todo_titles?select=title&order=id", "", ""),
    ("DELETE", "/todos?id=eq.2", "prefer: return=representation", ""),
    ("DELETE", "/todos?id=eq.2", "", ""),
    ("GET", "/nothing", "", ""),
    ("GET", "/todos?select=nothing", "", ""),
    ("GET", "/todos?id=eq.x", "", ""),
    ("POST", "/todos", "", r#"{"nothing":1}"#),
    ("POST", "/todos", "", r#"{"done":true}"#),
    ("POST", "/rpc/nothing", "", "{}"),
    ("GET", "/todos", "accept-profile: auth", ""),
    ("POST", "/countries", "", r#"{"code":"XX","name":"X"}"#),
];

#[tokio::test]
async fn answers_are_those_of_postgrest() {
    let app = TestApp::start().await;
    let user = app.sign_up("a@example.com").await;
    let mut golden = String::new();
    for (method, path, headers, body) in CASES {
        let mut request = app
            .request(method.parse::<Method>().unwrap(), &format!("/rest/v1{path}"))
            .bearer_auth(&user.token);
        for (name, value) in headers.lines().filter_map(|line| line.split_once(": ")) {
            request = request.header(name, value);
        }
        if !body.is_empty() {
            request = request.header("content-type", "application/json").body(*body);
        }
        let answer = app.send(request).await;
        let shown = ["content-range", "location", "preference-applied", "proxy-status"];
        let shown = shown
            .iter()
            .filter_map(|name| Some(format!("{name}: {}", answer.headers.get(*name)?.to_str().ok()?)));
        let shown = shown.collect::<Vec<_>>().join(", ");
        let text = answer.text.replace(&user.tenant, "TENANT");
        writeln!(golden, "{method} {path}\n  {} {shown}\n  {text}", answer.status.as_u16()).unwrap();
    }
    insta::assert_snapshot!(golden);
}

#[tokio::test]
async fn table_made_while_serving_is_served_after_a_notice() {
    let app = TestApp::start().await;
    let user = app.sign_up("a@example.com").await;
    assert_eq!(app.get(&user.token, "/rest/v1/notes").await.code(), "PGRST205");
    let sql = "create table public.notes (id bigint generated always as identity primary key, text text);
        select tenancy.protect('public.notes');
        alter table public.notes add column list_id bigint references public.lists (id);
        grant all on public.notes to authenticated;
        notify pgrst, 'reload schema'";
    app.db.migrate(sql).await;
    let served = async || app.get(&user.token, "/rest/v1/notes").await.status == StatusCode::OK;
    until("the table is served", LIMIT, served).await;
    let other = app.sign_up("b@example.com").await;
    let list =
        app.post(&other.token, "/rest/v1/lists", json!({ "name": "of b" })).await.json()[0]["id"].clone();
    let foreign = app.post(&user.token, "/rest/v1/notes", json!({ "text": "x", "list_id": list })).await;
    assert_eq!(
        foreign.status,
        StatusCode::CONFLICT,
        "the reload guarded the new reference: {}",
        foreign.text
    );
}

#[tokio::test]
async fn alias_of_the_data_api_answers_the_same() {
    let mut settings = crate::support::settings();
    settings.update(|server: &mut ServerSettings| server.rest_alias = Some("/api".to_owned()));
    let app = TestApp::start_with(settings).await;
    let user = app.sign_up("a@example.com").await;
    let [plain, alias] =
        ["/rest/v1/countries?order=code", "/api/countries?order=code"].map(|path| app.get(&user.token, path));
    let (plain, alias) = tokio::join!(plain, alias);
    assert_eq!((plain.status, plain.text), (alias.status, alias.text));
}
