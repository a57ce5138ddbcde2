use axum::body::Body;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::BodyExt;

use super::{QueryOutcome, ResultSet, respond};
use crate::error::{Error, ErrorResponse};
use crate::plan::tests::{request, schema};
use crate::plan::{Plan, plan};
use crate::settings::RestSettings;

/// Total, page and body, then the rest.
fn row(columns: &[Option<&str>]) -> ResultSet {
    let bytes = |column: &Option<&str>| column.map(|text| Bytes::copy_from_slice(text.as_bytes()));
    let mut columns: Vec<_> = columns.iter().map(bytes).collect();
    let body = columns.remove(2);
    columns.push(body);
    ResultSet::from_row(columns)
}

fn answer_to(
    method: &str,
    target: &str,
    headers: &[&str],
    body: &str,
    answer: ResultSet,
) -> Result<Response<Body>, Error> {
    let schema = schema();
    let request = request(method, target, headers, body);
    respond(&request, &plan(&request, &schema, &RestSettings::default()).unwrap(), QueryOutcome::Rows(answer))
}

fn header(response: &Response<Body>, name: &str) -> Option<String> {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn read_passes_the_body_through() {
    let body = "[{\"id\":1}, \n {\"id\":2}]";
    let response = answer_to(
        "GET",
        "/todos?select=id&order=id",
        &[],
        "",
        row(&[None, Some("2"), Some(body), None, None]),
    )
    .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "content-range").as_deref(), Some("0-1/*"));
    assert_eq!(header(&response, "content-location").as_deref(), Some("/todos?order=id&select=id"));
    assert_eq!(header(&response, "content-type").as_deref(), Some("application/json; charset=utf-8"));
    assert_eq!(header(&response, "vary").as_deref(), Some("Accept, Prefer, Range"));
    assert_eq!(header(&response, "preference-applied"), None);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), body);
}

#[test]
fn head_claims_no_length() {
    use axum::body::HttpBody as _;
    let response =
        answer_to("HEAD", "/todos", &[], "", row(&[None, Some("2"), Some(""), None, None])).unwrap();
    assert_eq!(response.body().size_hint().exact(), None);
    assert_eq!(header(&response, "content-range").as_deref(), Some("0-1/*"));
}

#[test]
fn page_of_a_larger_total_has_status_206() {
    let counted = |target, total, page: &str| {
        answer_to(
            "GET",
            target,
            &["prefer: count=exact"],
            "",
            row(&[Some(total), Some(page), Some("[]"), None, None]),
        )
    };
    let response = counted("/todos?limit=2&offset=4", "9", "2").unwrap();
    assert_eq!(
        (response.status(), header(&response, "content-range").as_deref()),
        (StatusCode::PARTIAL_CONTENT, Some("4-5/9"))
    );
    assert_eq!(header(&response, "preference-applied").as_deref(), Some("count=exact"));
    let response = counted("/todos", "0", "0").unwrap();
    assert_eq!(
        (response.status(), header(&response, "content-range").as_deref()),
        (StatusCode::OK, Some("*/0"))
    );
    let failure = ErrorResponse::from(counted("/todos?offset=10", "9", "0").unwrap_err());
    assert_eq!((failure.status, failure.code.as_str()), (StatusCode::RANGE_NOT_SATISFIABLE, "PGRST103"));
    assert_eq!(failure.details, Some("An offset of 10 was requested, but there are only 9 rows.".into()));
}

#[test]
fn one_object_needs_one_row() {
    let ask = |rows| {
        answer_to(
            "GET",
            "/todos",
            &["accept: application/vnd.pgrst.object+json"],
            "",
            row(&[None, Some(rows), Some("{}"), None, None]),
        )
    };
    let response = ask("1").unwrap();
    assert_eq!(
        header(&response, "content-type").as_deref(),
        Some("application/vnd.pgrst.object+json; charset=utf-8")
    );
    let failure = ErrorResponse::from(ask("0").unwrap_err());
    assert_eq!((failure.status, failure.code.as_str()), (StatusCode::NOT_ACCEPTABLE, "PGRST116"));
    assert_eq!(failure.message, "Cannot coerce the result to a single JSON object");
    assert_eq!(failure.details, Some("The result contains 0 rows".into()));
}

#[test]
fn insert_has_status_201_and_location() {
    let answer = row(&[Some("1"), Some("1"), Some(""), None, None, Some(r#"["a b",null]"#)]);
    let headers = ["prefer: return=headers-only, count=exact"];
    let response = answer_to("POST", "/todo_labels", &headers, r#"{"todo_id":1}"#, answer).unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(
        header(&response, "location").as_deref(),
        Some("/todo_labels?todo_id=eq.a%20b&label_id=is.null")
    );
    assert_eq!(header(&response, "content-range").as_deref(), Some("*/1"));
    assert_eq!(header(&response, "preference-applied").as_deref(), Some("return=headers-only, count=exact"));
    assert_eq!(header(&response, "content-type"), None);
}

#[test]
fn upsert_that_only_merges_is_not_created() {
    let upsert = |new| {
        let answer = row(&[Some("1"), Some("1"), Some("[]"), None, None, None, Some(new)]);
        let headers = ["prefer: resolution=merge-duplicates, return=representation, missing=default"];
        answer_to("POST", "/todos", &headers, r#"{"id":1}"#, answer).unwrap()
    };
    assert_eq!(upsert("0").status(), StatusCode::OK);
    let response = upsert("1");
    assert_eq!(response.status(), StatusCode::CREATED);
    let applied = "resolution=merge-duplicates, missing=default, return=representation";
    assert_eq!(header(&response, "preference-applied").as_deref(), Some(applied));
}

#[test]
fn changes_without_representation_have_no_content() {
    let change = |method, target, prefer: &[&str]| {
        answer_to(method, target, prefer, r#"{"id":1}"#, row(&[Some("3"), Some("3"), Some("[]"), None, None]))
            .unwrap()
    };
    let response = change("PATCH", "/todos", &[]);
    assert_eq!(
        (response.status(), header(&response, "content-range").as_deref()),
        (StatusCode::NO_CONTENT, Some("0-2/*"))
    );
    let response = change("DELETE", "/todos", &["prefer: count=exact"]);
    assert_eq!(
        (response.status(), header(&response, "content-range").as_deref()),
        (StatusCode::NO_CONTENT, Some("*/3"))
    );
    assert_eq!(change("PATCH", "/todos", &["prefer: return=representation"]).status(), StatusCode::OK);
    assert_eq!(change("PUT", "/todos?id=eq.1", &[]).status(), StatusCode::NO_CONTENT);
}

#[test]
fn void_function_has_no_content() {
    let response =
        answer_to("POST", "/rpc/touch", &[], "", row(&[None, Some("1"), Some(""), None, None])).unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(header(&response, "content-type"), None);
}

#[test]
fn sql_sets_status_and_headers() {
    let set = |headers: Option<&str>, status: Option<&str>| {
        answer_to("POST", "/rpc/touch", &[], "", row(&[None, Some("1"), Some(""), headers, status]))
    };
    let response = set(Some(r#"[{"X-A":"1"},{"X-A":"2"},{"vary":"*"}]"#), Some("418")).unwrap();
    assert_eq!(response.status().as_u16(), 418);
    assert_eq!(response.headers().get_all("x-a").iter().count(), 2);
    assert_eq!(header(&response, "vary").as_deref(), Some("*"));
    for (headers, status, code) in [
        (Some("{}"), None, "PGRST111"),
        (Some(r#"[{"a":1}]"#), None, "PGRST111"),
        (None, Some("abc"), "PGRST112"),
        (None, Some("101"), "PGRST112"),
    ] {
        assert_eq!(ErrorResponse::from(set(headers, status).unwrap_err()).code, code);
    }
}

#[test]
fn embed_addressed_by_its_table_is_warned_about() {
    let target = "/todos?select=id,in_list:lists(name)&lists.name=eq.x";
    let found = || row(&[None, Some("0"), Some("[]"), None, None]);
    let response = answer_to("GET", target, &[], "", found()).unwrap();
    let warning = header(&response, "warning").unwrap();
    assert!(warning.starts_with("299 ") && warning.contains("`lists` to `in_list`"), "{warning}");
    let current = answer_to("GET", &target.replace("&lists", "&in_list"), &[], "", found()).unwrap();
    assert_eq!(header(&current, "warning"), None);
}

#[test]
fn accept_query_is_sent_where_get_is_allowed() {
    for (target, offered) in [("/todos", true), ("/rpc/add", true), ("/", false), ("/rpc/touch", false)] {
        let schema = schema();
        let request = request("OPTIONS", target, &[], "");
        let Ok(crate::plan::Plan::Describe(allowed)) = plan(&request, &schema, &RestSettings::default())
        else {
            continue;
        };
        let response = super::describe(&request, &Plan::Describe(allowed));
        let accept = header(&response, "accept-query");
        assert_eq!(accept.is_some(), offered, "{target}");
        assert_eq!(accept.filter(|text| text != "\"application/x-www-form-urlencoded\""), None);
    }
}
