//! Round trips: CSV, JSON lines, defaults, represented domains; and the semantics of inner embeds.

use std::sync::Arc;

use axum::body::Body;
use http::{Request, StatusCode};
use rowhouse_http::Identity;
use rowhouse_rest::RestSettings;
use serde_json::{Value, json};

use crate::harness::{Harness, RouterResponse, caller, send};

pub(crate) const SCHEMA: &str = include_str!("round_trip.sql");

pub(crate) async fn ask(
    harness: &Harness,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> RouterResponse {
    let settings =
        RestSettings { schemas: vec!["trips".to_owned()], aggregates: true, ..RestSettings::default() };
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    send(&harness.router(settings), Some(Identity::Caller(Arc::new(caller("anon")))), request).await
}

pub(crate) fn text(answer: &RouterResponse) -> String {
    String::from_utf8(answer.body.to_vec()).unwrap()
}

pub(crate) async fn rows(harness: &Harness, target: &str) -> Value {
    let answer = ask(harness, "GET", target, &[], "").await;
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn csv_is_read_back_as_it_was_written() {
    let harness = Harness::new(SCHEMA, &["trips"]).await;
    let exported = ask(&harness, "GET", "/docs?order=id", &[("accept", "text/csv")], "").await;
    let csv = text(&exported);
    assert_eq!(
        csv.lines().next(),
        Some(r#"id,d,say,n,hue,"a,b""#),
        "names are quoted where they have to be: {csv}"
    );
    assert!(csv.contains(r"C:\dir"), "{csv}");
    let before = rows(&harness, "/docs?order=id").await;
    ask(&harness, "DELETE", "/docs?id=gt.0", &[], "").await;
    for mark in ["", "\u{feff}"] {
        let body = format!("{mark}{csv}");
        let imported = ask(&harness, "POST", "/docs", &[("content-type", "text/csv")], &body).await;
        assert_eq!(imported.status, StatusCode::CREATED, "{}", text(&imported));
        assert_eq!(rows(&harness, "/docs?order=id").await, before);
        ask(&harness, "DELETE", "/docs?id=gt.0", &[], "").await;
    }
    let lone = ask(&harness, "GET", "/lone?select=say", &[("accept", "text/csv")], "").await;
    assert_eq!(text(&lone), "say\nNULL\n\"\"\n\"NULL\"\nx");
}

#[tokio::test]
async fn form_holds_documents() {
    let harness = Harness::new(SCHEMA, &["trips"]).await;
    let form = [("content-type", "application/x-www-form-urlencoded"), ("prefer", "return=representation")];
    let answer = ask(&harness, "POST", "/docs?select=d", &form, "id=9&d=%7B%22k%22%3A1%7D").await;
    assert_eq!(text(&answer), r#"[{"d":{"k": 1}}]"#);
}

#[tokio::test]
async fn record_is_one_line_whatever_it_contains() {
    let harness = Harness::new(SCHEMA, &["trips"]).await;
    for target in ["/places?select=id,visits(id)&order=id", "/raw?order=id"] {
        let answer = ask(&harness, "GET", target, &[("accept", "application/x-ndjson")], "").await;
        let lines: Vec<Value> =
            text(&answer).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(Value::from(lines), rows(&harness, target).await, "{target}");
    }
}

#[tokio::test]
async fn missing_values_take_defaults_for_any_width_and_domain() {
    let harness = Harness::new(SCHEMA, &["trips"]).await;
    let names: Vec<String> = (0..60).map(|at| format!("c{at}")).collect();
    let target = format!("/wide?columns=id,{}&select=id,c0,c59", names.join(","));
    let prefer = [("prefer", "missing=default,return=representation")];
    let answer = ask(&harness, "POST", &target, &prefer, r#"[{"id":1},{"id":2,"c59":7}]"#).await;
    assert_eq!(text(&answer), "[{\"id\":1,\"c0\":0,\"c59\":59}, \n {\"id\":2,\"c0\":0,\"c59\":7}]");
    let answer = ask(&harness, "POST", "/docs?columns=id,hue&select=hue", &prefer, r#"{"id":10}"#).await;
    assert_eq!(text(&answer), r##"[{"hue":"#0000ff"}]"##);
}

#[tokio::test]
async fn represented_values_are_read_by_every_operator() {
    let harness = Harness::new(SCHEMA, &["trips"]).await;
    for (filter, ids) in [
        ("hue=eq.%230000ff", json!([{"id": 1}])),
        ("hue=isdistinct.%230000ff", json!([{"id": 2}])),
        ("hue=eq(any).{%230000ff,%23000001}", json!([{"id": 1}])),
        ("hue=gt(all).{%23000001,%230000ff}", json!([{"id": 2}])),
        ("hue=not.in.(%230000ff)", json!([{"id": 2}])),
    ] {
        assert_eq!(rows(&harness, &format!("/docs?select=id&order=id&{filter}")).await, ids, "{filter}");
    }
}

#[tokio::test]
async fn inner_means_the_same_for_arrays_aggregates_offsets_and_totals() {
    let harness = Harness::new(SCHEMA, &["trips"]).await;
    let total = async |target: &str| {
        let answer = ask(&harness, "GET", target, &[("prefer", "count=exact")], "").await;
        (text(&answer), answer.headers["content-range"].to_str().unwrap().to_owned())
    };
    for (target, body, range) in [
        (
            "/places?select=id,visits!inner(count())&order=id&limit=9",
            "[{\"id\":1,\"visits\":[{\"count\": 3}]}, \n {\"id\":3,\"visits\":[{\"count\": 1}]}]",
            "0-1/2",
        ),
        (
            "/places?select=id,visits(count)&visits=is.null&limit=9",
            "[{\"id\":2,\"visits\":[{\"count\": 0}]}]",
            "0-0/1",
        ),
        (
            "/places?select=id,visits!inner(id)&visits.offset=2&limit=9",
            "[{\"id\":1,\"visits\":[{\"id\":3}]}]",
            "0-0/1",
        ),
        ("/places?select=id,visits!inner()&visits.limit=0&limit=9", "[]", "*/0"),
        (
            "/visits?select=id,places!inner(count())&places.name=eq.Moor&limit=9",
            "[{\"id\":4,\"places\":{\"count\": 1}}]",
            "0-0/1",
        ),
        (
            "/visits?select=place_id,count()&order=place_id&limit=9",
            "[{\"place_id\":1,\"count\":3}, \n {\"place_id\":3,\"count\":1}]",
            "0-1/2",
        ),
    ] {
        assert_eq!(total(target).await, (body.to_owned(), range.to_owned()), "{target}");
    }
}

#[tokio::test]
async fn rows_are_ordered_by_what_an_embed_does_not_show() {
    let harness = Harness::new(SCHEMA, &["trips"]).await;
    for embed in ["places(id)", "places()", "places!inner()", "...places(name:id)", "places(id,name:id)"] {
        let target = format!("/visits?select=id,{embed}&order=places(name).desc,id");
        let ids: Vec<i64> = rows(&harness, &target)
            .await
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["id"].as_i64().unwrap())
            .collect();
        assert_eq!(ids, [4, 1, 2, 3], "{target}");
    }
}

#[tokio::test]
async fn bytes_are_the_same_under_any_bytea_output() {
    let harness = Harness::new(SCHEMA, &["trips"]).await;
    let answer = ask(&harness, "GET", "/rpc/blob", &[("accept", "application/octet-stream")], "").await;
    assert_eq!(&answer.body[..], [0, 255, 10]);
}
