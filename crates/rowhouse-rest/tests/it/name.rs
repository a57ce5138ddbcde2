//! Names: those that a project chooses never meet those that statements make up, and only columns are columns.

use axum::body::Body;
use http::Request;
use rowhouse_http::Identity;
use rowhouse_kernel::settings::RestSettings;
use serde_json::{Value, json};

use crate::world::{World, caller, send};

const SCHEMA: &str = include_str!("name.sql");

/// What `anon` is answered: the status, and the body as JSON.
async fn ask(world: &World, settings: RestSettings, method: &str, target: &str, body: &str) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header("prefer", "return=representation")
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap();
    let identity = Identity::Caller(std::sync::Arc::new(caller("anon")));
    let answer = send(&world.router(settings), Some(identity), request).await;
    (answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
}

fn settings(schemas: &[&str]) -> RestSettings {
    RestSettings {
        schemas: schemas.iter().map(|name| (*name).to_owned()).collect(),
        ..RestSettings::default()
    }
}

#[tokio::test]
async fn numbered_long_and_equal_names_are_told_apart() {
    let world = World::new(SCHEMA, &["names", "v1", "v2"]).await;
    let long = "a_table_whose_name_is_as_long_as_postgresql_lets_names_be_63_by";
    let two_levels = format!("/{long}?select=id,parent(id,parent(id))&id=eq.3");
    let cases = [
        (
            "PATCH",
            "/item_1?id=eq.2&select=id,item(id)",
            r#"{"n":"y"}"#,
            json!([{"id": 2, "item": [{"id": 20}]}]),
        ),
        ("GET", "/rpc/item_ones?id=eq.2&select=id,item(id)", "", json!([{"id": 2, "item": [{"id": 20}]}])),
        ("GET", &two_levels, "", json!([{"id": 3, "parent": {"id": 2, "parent": {"id": 1}}}])),
        (
            "GET",
            "/tag?select=id,others(id)&order=id",
            "",
            json!([{"id": 1, "others": [{"id": 2}]}, {"id": 2, "others": [{"id": 1}]}]),
        ),
        (
            "GET",
            "/tag?select=rowhouse_row:id&order=id",
            "",
            json!([{"rowhouse_row": 1}, {"rowhouse_row": 2}]),
        ),
    ];
    for (method, target, body, right) in cases {
        assert_eq!(ask(&world, settings(&["names"]), method, target, body).await, (200, right), "{target}");
    }
}

#[tokio::test]
async fn another_version_s_views_add_no_ways_and_are_not_shown() {
    let world = World::new(SCHEMA, &["names", "v1", "v2"]).await;
    let served = || settings(&["v1", "v2"]);
    let both = ask(&world, served(), "GET", "/todos?select=id,lists(name),tags(name)", "").await;
    assert_eq!(both, (200, json!([{"id": 1, "lists": {"name": "home"}, "tags": [{"name": "red"}]}])));
    let (status, failure) = ask(&world, served(), "GET", "/todos?select=id,secre(id)", "").await;
    assert_eq!((status, &failure["hint"]), (400, &Value::Null), "{failure}");
}

#[tokio::test]
async fn functions_of_a_row_are_columns_only_where_the_project_made_them() {
    let world = World::new(SCHEMA, &["names", "v1", "v2"]).await;
    for name in ["json_agg", "array_agg", "row_to_json", "pg_typeof"] {
        for target in [
            format!("/tag?select={name}"),
            format!("/tag?select=id&order={name}"),
            format!("/tag?{name}=eq.1"),
            format!("/tag?or=(id.eq.1,{name}.eq.1)"),
            format!("/rpc/pairs?select={name}"),
            format!("/tag?select=id,items({name})"),
        ] {
            let (status, failure) = ask(&world, settings(&["names"]), "GET", &target, "").await;
            assert_eq!((status, &failure["code"]), (400, &json!("42703")), "{target}: {failure}");
        }
    }
    let (status, failure) = ask(&world, settings(&["names"]), "GET", "/tag?select=count", "").await;
    assert_eq!((status, &failure["code"]), (400, &json!("PGRST123")), "{failure}");
    let computed = ask(&world, settings(&["names"]), "GET", "/tag?select=loud&loud=eq.A!", "").await;
    assert_eq!(computed, (200, json!([{"loud": "A!"}])));
    let (_, failure) = ask(&world, settings(&["names"]), "GET", "/tag?select=tagg", "").await;
    assert_eq!(failure["message"], "column tag.tagg does not exist");
    assert_eq!(failure["hint"], "Perhaps you meant to reference the column \"tag.tag\".");
}
