//! Names of the project never collide with generated aliases, and only columns are columns.

use axum::body::Body;
use http::Request;
use rowhouse_http::Identity;
use rowhouse_rest::RestSettings;
use serde_json::{Value, json};

use crate::harness::{Harness, caller, send};

const SCHEMA: &str = include_str!("name.sql");

/// What `anon` is answered: the status, and the body as JSON.
async fn ask(
    harness: &Harness,
    settings: RestSettings,
    method: &str,
    target: &str,
    body: &str,
) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header("prefer", "return=representation")
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap();
    let identity = Identity::Caller(std::sync::Arc::new(caller("anon")));
    let answer = send(&harness.router(settings), Some(identity), request).await;
    (answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
}

fn settings(schemas: &[&str]) -> RestSettings {
    RestSettings {
        schemas: schemas.iter().map(|name| (*name).to_owned()).collect(),
        ..RestSettings::default()
    }
}

#[tokio::test]
async fn numbered_long_and_equal_names_are_distinguished() {
    let harness = Harness::new(SCHEMA, &["names", "v1", "v2"]).await;
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
        assert_eq!(ask(&harness, settings(&["names"]), method, target, body).await, (200, right), "{target}");
    }
}

#[tokio::test]
async fn names_like_generated_aliases_are_supported() {
    let harness = Harness::new(SCHEMA, &["names", "v1", "v2"]).await;
    let upper = r#"{"id":1,"rowhouse_row":"row"}"#;
    for (method, target, body, right) in [
        ("GET", "/rowhouse_t1?select=id,rowhouse_1_0(id,rowhouse_row)&id=eq.1", "", format!(r#"[{{"id":1,"rowhouse_1_0":{upper}}}]"#)),
        ("GET", "/rowhouse_1_0?select=*,rowhouse_t1(rowhouse_t1,rowhouse_body(id))&id=eq.1", "",
            r#"[{"id":1,"rowhouse_row":"row","rowhouse_source":5,"rowhouse_key":9,"rowhouse_t1":[{"rowhouse_t1":"t","rowhouse_body":[{"id":1}]}]}]"#.to_owned()),
        ("GET", "/rowhouse_t1?select=id&order=rowhouse_1_0(rowhouse_key)&rowhouse_1_0=not.is.null&rowhouse_1_0.id=gt.0", "", String::new()),
        ("GET", "/rowhouse_t1?select=id,rowhouse_1_0()&order=rowhouse_1_0(rowhouse_key)", "", r#"[{"id":2},{"id":1}]"#.to_owned()),
        ("GET", "/rowhouse_body?select=id,rowhouse_t1!inner(id,rowhouse_1_0!inner(id))&rowhouse_t1.rowhouse_1_0.id=eq.1", "",
            r#"[{"id":1,"rowhouse_t1":{"id":1,"rowhouse_1_0":{"id":1}}}]"#.to_owned()),
        ("PATCH", "/rowhouse_body?id=eq.1&select=*,rowhouse_t1(id)", r#"{"rowhouse_element":"y"}"#,
            r#"[{"id":1,"up":1,"rowhouse_element":"y","rowhouse_t1":{"id":1}}]"#.to_owned()),
        ("POST", "/rowhouse_t1?select=id,rowhouse_body,rowhouse_1_0(id)", r#"{"id":9,"rowhouse_body":4,"up":1}"#,
            r#"[{"id":9,"rowhouse_body":4,"rowhouse_1_0":{"id":1}}]"#.to_owned()),
        ("PUT", "/rowhouse_t1?id=eq.9&select=id,rowhouse_body", r#"{"id":9,"rowhouse_body":5}"#, r#"[{"id":9,"rowhouse_body":5}]"#.to_owned()),
        ("PATCH", "/rowhouse_body?select=id", "{}", "[]".to_owned()),
        ("DELETE", "/rowhouse_t1?id=eq.9&select=id,rowhouse_json", "", r#"[{"id":9,"rowhouse_json":3}]"#.to_owned()),
        ("GET", "/rpc/rowhouse_call?rowhouse_body=4&rowhouse_call=eq.4", "", r#"[{"rowhouse_call":4,"rowhouse_scalar":2}]"#.to_owned()),
        ("POST", "/rpc/rowhouse_call", r#"{"rowhouse_body":4}"#, r#"[{"rowhouse_call":4,"rowhouse_scalar":2}]"#.to_owned()),
    ] {
        let (status, answer) = ask(&harness, settings(&["names"]), method, target, body).await;
        if right.is_empty() {
            assert_eq!(status, 400, "{target}: {answer}");
            continue;
        }
        let right: Value = serde_json::from_str(&right).unwrap();
        assert_eq!(answer, right, "{method} {target}");
    }
}

#[tokio::test]
async fn longest_names_and_aliases_named_like_other_tables_are_resolved_correctly() {
    let harness = Harness::new(SCHEMA, &["names", "v1", "v2"]).await;
    let long = "a_table_whose_name_is_as_long_as_postgresql_lets_names_be_63_by";
    let twin = "a_column_whose_name_is_as_long_as_postgresql_lets_names_be_63_b";
    let ask = async |method: &str, target: &str, body: &str| {
        ask(&harness, settings(&["names"]), method, target, body).await.1
    };
    let cases = [
        (
            "GET",
            format!("/{long}?select=id,{twin},up:parent(id,{twin})&{twin}=eq.b&order={twin}"),
            "",
            json!([{"id": 2, twin: "b", "up": {"id": 1, twin: "a"}}]),
        ),
        (
            "GET",
            format!("/{long}?select=id,parent(id)&order=parent({twin}).desc.nullslast,id&{twin}=gte.b"),
            "",
            json!([{"id": 3, "parent": {"id": 2}}, {"id": 2, "parent": {"id": 1}}]),
        ),
        (
            "PATCH",
            format!("/{long}?{twin}=eq.c&select={twin},up:parent({twin})"),
            &format!(r#"{{"{twin}":"d"}}"#),
            json!([{twin: "d", "up": {twin: "b"}}]),
        ),
        (
            "POST",
            format!("/{long}?select={twin},up:parent({twin},up:parent({twin}))"),
            &format!(r#"{{"id":4,"parent":2,"{twin}":"e"}}"#),
            json!([{twin: "e", "up": {twin: "b", "up": {twin: "a"}}}]),
        ),
        (
            "DELETE",
            format!("/{long}?{twin}=eq.e&select={twin},up:parent({twin})"),
            "",
            json!([{twin: "e", "up": {twin: "b"}}]),
        ),
        (
            "GET",
            format!("/rpc/long_ones?select=id,up:parent({twin})&{twin}=eq.b"),
            "",
            json!([{"id": 2, "up": {twin: "a"}}]),
        ),
        // Two embeds of one table on each of two levels, under the names of other tables.
        (
            "GET",
            "/item?select=id,item:item_1(id,tag:item(id),items:item(n)),tag:item_1(n,item(id))&id=eq.20"
                .to_owned(),
            "",
            json!([{"id": 20, "item": {"id": 2, "tag": [{"id": 20}], "items": [{"n": "twenty"}]}, "tag": {"n": "y", "item": [{"id": 20}]}}]),
        ),
        (
            "GET",
            "/item?select=id,item:item_1!inner(id),tag:item_1(id)&item.id=eq.2&tag.id=eq.1".to_owned(),
            "",
            json!([{"id": 20, "item": {"id": 2}, "tag": null}]),
        ),
    ];
    for (method, target, body, right) in cases {
        assert_eq!(ask(method, &target, body).await, right, "{method} {target}");
    }
}

#[tokio::test]
async fn views_of_another_schema_add_no_relations_and_are_not_shown() {
    let harness = Harness::new(SCHEMA, &["names", "v1", "v2"]).await;
    let served = || settings(&["v1", "v2"]);
    let both = ask(&harness, served(), "GET", "/todos?select=id,lists(name),tags(name)", "").await;
    assert_eq!(both, (200, json!([{"id": 1, "lists": {"name": "home"}, "tags": [{"name": "red"}]}])));
    let (status, failure) = ask(&harness, served(), "GET", "/todos?select=id,secre(id)", "").await;
    assert_eq!((status, &failure["hint"]), (400, &Value::Null), "{failure}");
}

#[tokio::test]
async fn only_the_project_s_functions_of_a_row_are_columns() {
    let harness = Harness::new(SCHEMA, &["names", "v1", "v2"]).await;
    for name in ["json_agg", "array_agg", "row_to_json", "pg_typeof"] {
        for target in [
            format!("/tag?select={name}"),
            format!("/tag?select=id&order={name}"),
            format!("/tag?{name}=eq.1"),
            format!("/tag?or=(id.eq.1,{name}.eq.1)"),
            format!("/rpc/pairs?select={name}"),
            format!("/tag?select=id,items({name})"),
        ] {
            let (status, failure) = ask(&harness, settings(&["names"]), "GET", &target, "").await;
            assert_eq!((status, &failure["code"]), (400, &json!("42703")), "{target}: {failure}");
        }
    }
    let (status, failure) = ask(&harness, settings(&["names"]), "GET", "/tag?select=count", "").await;
    assert_eq!((status, &failure["code"]), (400, &json!("PGRST123")), "{failure}");
    let computed = ask(&harness, settings(&["names"]), "GET", "/tag?select=loud&loud=eq.A!", "").await;
    assert_eq!(computed, (200, json!([{"loud": "A!"}])));
    let (_, failure) = ask(&harness, settings(&["names"]), "GET", "/tag?select=tagg", "").await;
    assert_eq!(failure["message"], "column tag.tagg does not exist");
    assert_eq!(failure["hint"], "Perhaps you meant to reference the column \"tag.tag\".");
}
