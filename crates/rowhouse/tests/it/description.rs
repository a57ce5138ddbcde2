//! The description in OpenAPI 3.1, as callers get it.

use reqwest::Method;
use rowhouse_rest::{OpenapiMode, RestSettings};
use rowhouse_testkit::{LIMIT, until, until_some};
use serde_json::{Value, json};

use crate::support::{TestApp, settings};

const PATH: &str = "/rest/v1/openapi.json";

fn methods(document: &Value, path: &str) -> Vec<String> {
    let item = document["paths"][path].as_object();
    item.map(|item| item.keys().cloned().collect()).unwrap_or_default()
}

#[tokio::test]
async fn description_shows_what_the_caller_may_do_and_no_more() {
    let app = TestApp::start().await;
    let user = app.sign_up("a@example.com").await;
    let answer = app.get(&user.token, PATH).await;
    assert_eq!(answer.headers["content-type"], "application/openapi+json; charset=utf-8");
    let document = answer.json();
    assert_eq!(
        (&document["openapi"], &document["servers"]),
        (&json!("3.1.0"), &json!([{ "url": "/rest/v1" }]))
    );
    assert_eq!(methods(&document, "/todos"), ["delete", "get", "patch", "post"]);
    assert_eq!(methods(&document, "/countries"), ["get"]);
    assert_eq!(methods(&document, "/rpc/add"), ["get", "post"]);
    let todos = &document["components"]["schemas"]["todos"];
    assert_eq!(todos["properties"]["id"]["readOnly"], json!(true));
    assert_eq!(todos["properties"]["list_id"]["x-foreign-key"], json!({ "table": "lists", "column": "id" }));
    assert_eq!(document["components"]["schemas"]["todos.insert"]["required"], json!(["title"]));

    let anonymous = app.get(&app.anon_key, PATH).await.json();
    assert_eq!(methods(&anonymous, "/todos"), Vec::<String>::new());
    assert_eq!(methods(&anonymous, "/lists"), ["delete", "get", "patch", "post"]);

    let ask = |method| app.request(method, PATH).bearer_auth(&user.token);
    let head = app.send(ask(Method::HEAD)).await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
    let options = app.send(ask(Method::OPTIONS)).await;
    assert_eq!(options.headers["allow"], "OPTIONS,GET,HEAD");
    assert_eq!(app.send(ask(Method::GET).header("accept", "text/csv")).await.code(), "PGRST107");
    assert_eq!(app.send(ask(Method::GET).header("accept-profile", "auth")).await.code(), "PGRST106");
    assert_eq!(app.send(ask(Method::POST).json(&json!({}))).await.code(), "PGRST205");
}

#[tokio::test]
async fn description_can_be_disabled_or_show_everything() {
    let mut settings = settings();
    settings.update(|rest: &mut RestSettings| rest.openapi_mode = OpenapiMode::Disabled);
    let app = TestApp::start_with(settings.clone()).await;
    let refused = app.get(&app.anon_key, PATH).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (404, "PGRST126"));
    settings.update(|rest: &mut RestSettings| rest.openapi_mode = OpenapiMode::IgnorePrivileges);
    let app = TestApp::start_with(settings).await;
    let document = app.get(&app.anon_key, PATH).await.json();
    assert_eq!(methods(&document, "/todos"), ["delete", "get", "patch", "post"]);
}

#[tokio::test]
async fn description_is_of_the_requested_schema() {
    let mut settings = settings();
    settings.update(|rest: &mut RestSettings| rest.schemas = vec!["public".to_owned(), "shop".to_owned()]);
    let app = TestApp::start_with(settings).await;
    let sql = "create schema shop;
        create type shop.size as enum ('s', 'm');
        create table shop.shirts (id int primary key, size shop.size not null default 's', cut text);
        comment on column shop.shirts.cut is 'How it falls';
        grant usage on schema shop to anon; grant select on shop.shirts to anon;
        notify pgrst, 'reload schema'";
    app.db.superuser().await.batch_execute(sql).await.unwrap();
    let ask = || app.request(Method::GET, PATH).bearer_auth(&app.anon_key).header("accept-profile", "shop");
    let document = until_some("the table is described", LIMIT, async || {
        let document = app.send(ask()).await.json();
        (!methods(&document, "/shirts").is_empty()).then_some(document)
    });
    let document = document.await;
    assert_eq!(document["paths"].as_object().unwrap().len(), 1);
    let shirts = &document["components"]["schemas"]["shirts"]["properties"];
    assert_eq!(
        shirts["size"],
        json!({ "type": "string", "enum": ["s", "m"], "default": "s", "x-postgres-type": "shop.size" })
    );
    assert_eq!(shirts["cut"]["description"], "How it falls");
    assert_eq!(document["components"]["parameters"]["acceptProfile"]["required"], json!(true));
}

#[tokio::test]
async fn table_named_like_the_description_takes_precedence() {
    let app = TestApp::start().await;
    let sql =
        "create table public.\"openapi.json\" (id int); grant select on public.\"openapi.json\" to anon;
        notify pgrst, 'reload schema'";
    app.db.superuser().await.batch_execute(sql).await.unwrap();
    until("the table is served", LIMIT, async || app.get(&app.anon_key, PATH).await.text == "[]").await;
}
