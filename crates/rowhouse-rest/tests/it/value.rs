//! Values are the same in every media type: bytes, money, numbers of any length, strings that look like nulls; and
//! lists of them in filters.

use http::StatusCode;
use serde_json::json;

use crate::harness::Harness;
use crate::round_trip::{SCHEMA, ask, rows, text};

const BIG: &str = "12345678901234567890123456789.123456789";

#[tokio::test]
async fn numbers_money_and_bytes_are_unchanged_in_every_media_type() {
    let harness = Harness::new(SCHEMA, &["trips"]).await;
    for (media, number) in [
        ("application/json", BIG),
        ("application/x-ndjson", BIG),
        ("application/vnd.pgrst.object+json", BIG),
        ("application/vnd.pgrst.array+json;nulls=stripped", BIG),
        ("text/csv", BIG),
    ] {
        let answer = ask(&harness, "GET", "/exact?id=eq.1", &[("accept", media)], "").await;
        let body = text(&answer);
        assert_eq!(answer.status, StatusCode::OK, "{media}: {body}");
        for part in [
            number,
            "9223372036854775807",
            "100000000000000000000.10",
            "00ff0a5c22",
            "92,233,720,368,547,758.07",
        ] {
            assert!(body.contains(part), "{media}: {part} is not in {body}");
        }
        assert!(!body.contains("\\\\000"), "{media}: {body}");
    }
    let body = r#"{"id":3,"big":12345678901234567890123456789.123456789,"raw":"\\x00ff","price":"$1,234.56","lists":[0.10,1e30]}"#;
    let prefer = [("prefer", "return=representation")];
    let made = ask(&harness, "POST", "/exact?select=big,raw,price,lists", &prefer, body).await;
    assert_eq!(
        text(&made),
        format!(
            r#"[{{"big":{BIG},"raw":"\\x00ff","price":"$1,234.56","lists":[0.10,1000000000000000000000000000000]}}]"#
        )
    );
}

#[tokio::test]
async fn texts_and_documents_survive_csv_and_lines_whatever_they_look_like() {
    let harness = Harness::new(SCHEMA, &["trips"]).await;
    let before = ask(&harness, "GET", "/texts?order=id", &[], "").await;
    for media in ["text/csv", "application/x-ndjson", "application/json"] {
        let out = ask(&harness, "GET", "/texts?order=id", &[("accept", media)], "").await;
        let body = text(&out);
        ask(&harness, "DELETE", "/texts?id=gt.0", &[], "").await;
        let taken = ask(&harness, "POST", "/texts", &[("content-type", media)], &body).await;
        assert_eq!(taken.status, StatusCode::CREATED, "{media}: {} of {body}", text(&taken));
        let after = ask(&harness, "GET", "/texts?order=id", &[], "").await;
        assert_eq!(text(&after), text(&before), "{media}: {body}");
    }
}

#[tokio::test]
async fn lists_hold_empty_strings_or_no_element() {
    let harness = Harness::new(SCHEMA, &["trips"]).await;
    for (filter, ids) in [
        ("say=in.(%22%22)", json!([{"id": 1}])),
        ("say=in.(%22%22,NULL)", json!([{"id": 1}, {"id": 5}])),
        ("say=in.()", json!([])),
        ("say=not.in.()", json!([{"id": 1}, {"id": 3}, {"id": 4}, {"id": 5}, {"id": 6}, {"id": 7}])),
        ("or=(say.in.(%22%22),id.eq.2)", json!([{"id": 1}, {"id": 2}])),
        ("id=in.()", json!([])),
    ] {
        let target = format!("/texts?select=id&order=id&{filter}");
        let found = rows(&harness, &target).await;
        if filter == "say=not.in.()" {
            assert!(found == ids || found.as_array().is_some_and(|all| all.len() == 7), "{filter}: {found}");
            continue;
        }
        assert_eq!(found, ids, "{filter}");
    }
}

#[tokio::test]
async fn represented_domains_take_every_operator_and_their_defaults() {
    let harness = Harness::new(SCHEMA, &["trips"]).await;
    for (filter, ids) in [
        ("hue=eq.%230000ff", json!([{"id": 1}])),
        ("hue=neq.%230000ff", json!([{"id": 2}])),
        ("hue=gt.%230000ff", json!([{"id": 2}])),
        ("hue=gte.%230000ff", json!([{"id": 1}, {"id": 2}])),
        ("hue=lt.%2300ff00", json!([{"id": 1}])),
        ("hue=lte.%2300ff00", json!([{"id": 1}, {"id": 2}])),
        ("hue=in.(%230000ff,%2300ff00)", json!([{"id": 1}, {"id": 2}])),
        ("hue=not.eq.%230000ff", json!([{"id": 2}])),
        ("hue=eq(any).{%230000ff}", json!([{"id": 1}])),
        ("hue=gt(all).{%230000ff,%23000003}", json!([{"id": 2}])),
        ("hue=isdistinct.%230000ff", json!([{"id": 2}])),
        ("other=is.null", json!([{"id": 2}])),
        ("other=not.is.null", json!([{"id": 1}])),
        ("and=(hue.gt.%23000000,or(hue.eq.%230000ff,other.eq.%23000009))", json!([{"id": 1}])),
    ] {
        assert_eq!(rows(&harness, &format!("/hues?select=id&order=id&{filter}")).await, ids, "{filter}");
    }
    let prefer = [("prefer", "missing=default,return=representation")];
    let made = ask(
        &harness,
        "POST",
        "/hues?columns=id,hue,other&select=id,hue,other",
        &prefer,
        r##"[{"id":3},{"id":4,"hue":"#000001"}]"##,
    )
    .await;
    assert_eq!(
        text(&made),
        "[{\"id\":3,\"hue\":\"#0000ff\",\"other\":null}, \n {\"id\":4,\"hue\":\"#000001\",\"other\":null}]"
    );
}

#[tokio::test]
async fn inner_embeds_with_nulls_limits_and_counts_agree_with_their_totals() {
    let harness = Harness::new(SCHEMA, &["trips"]).await;
    let ask = async |target: &str| {
        let answer = ask(&harness, "GET", target, &[("prefer", "count=exact")], "").await;
        let range = answer.headers.get("content-range").map(|range| range.to_str().unwrap().to_owned());
        (text(&answer).replace(", \n ", ","), range.unwrap_or_default())
    };
    for (target, body, range) in [
        (
            "/places?select=id,visits!inner(id)&visits.limit=1&visits.order=id&order=id&limit=1",
            r#"[{"id":1,"visits":[{"id":1}]}]"#,
            "0-0/2",
        ),
        (
            "/places?select=id,visits!inner(id)&visits.id=gt.3&limit=5",
            r#"[{"id":3,"visits":[{"id":4}]}]"#,
            "0-0/1",
        ),
        (
            "/places?select=id,visits!inner(count())&visits.id=gt.3&limit=5",
            r#"[{"id":3,"visits":[{"count":1}]}]"#,
            "0-0/1",
        ),
        (
            "/places?select=id,visits!inner(id.max())&visits.id=lt.3&limit=5",
            r#"[{"id":1,"visits":[{"max":2}]}]"#,
            "0-0/1",
        ),
        (
            "/places?select=id,visits(id)&visits=not.is.null&order=id.desc&limit=1&offset=1",
            r#"[{"id":1,"visits":[{"id":1},{"id":2},{"id":3}]}]"#,
            "1-1/2",
        ),
        ("/places?select=id,visits(id)&visits=is.null&limit=5", r#"[{"id":2,"visits":[]}]"#, "0-0/1"),
        (
            "/places?select=id,...visits!inner(vid:id)&visits.id=eq.4&limit=5",
            r#"[{"id":3,"vid":[4]}]"#,
            "0-0/1",
        ),
        ("/places?select=id,visits!inner(id)&visits.id=is.null&limit=5", "[]", "*/0"),
        ("/visits?select=id,places!inner()&places.name=eq.Moor&limit=5", r#"[{"id":4}]"#, "0-0/1"),
        (
            "/visits?select=...places(title:name),count()&order=places(title).desc&limit=5",
            r#"[{"count":1,"title":"Moor"},{"count":3,"title":"Lake"}]"#,
            "0-1/2",
        ),
        ("/visits?select=count(),places!inner(name)&order=count.desc&limit=1", "", ""),
    ] {
        let (found, at) = ask(target).await;
        if body.is_empty() {
            assert!(!found.contains("XX000") && !found.contains("42P"), "{target}: {found}");
            continue;
        }
        assert_eq!((found.replace("\": ", "\":"), at), (body.to_owned(), range.to_owned()), "{target}");
    }
}

#[tokio::test]
async fn statuses_have_the_reason_set_by_sql_and_405_has_allow() {
    let harness = Harness::new(SCHEMA, &["trips"]).await;
    let refused = ask(&harness, "GET", "/rpc/refuse", &[], "").await;
    assert_eq!(refused.status.as_u16(), 332);
    for (method, target, allowed) in [
        ("PATCH", "/rpc/blob", "OPTIONS,GET,HEAD,POST"),
        ("TRACE", "/docs", "OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE"),
        ("POST", "/", "OPTIONS,GET,HEAD"),
    ] {
        let answer = ask(&harness, method, target, &[], "{}").await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {target}");
        assert_eq!(answer.headers["allow"], allowed, "{method} {target}");
    }
}
