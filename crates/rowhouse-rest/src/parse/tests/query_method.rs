use crate::parse::RequestError;
use crate::plan::tests::{request, try_request};
use crate::request::*;

const FORM: &str = "content-type: application/x-www-form-urlencoded";
#[test]
fn query_method_appends_the_body_to_the_url_s_query() {
    let asked = request("QUERY", "/t?select=a&limit=3", &[FORM], "b=in.(1%2C2)&c=like.x+y&select=z&limit=5");
    let read = request("GET", "/t?select=a&limit=3&b=in.(1,2)&c=like.x%20y&select=z&limit=5", &[], "");
    assert_eq!(asked.action, Action::Read { table: "t".to_owned(), headers_only: false });
    assert_eq!((&asked.select, &asked.filters, asked.range), (&read.select, &read.filters, read.range));
    assert_eq!(asked.canonical, read.canonical);
    let plain = format!("{FORM}; charset=utf-8");
    assert_eq!(request("QUERY", "/t", &[&plain], "a=eq.1").filters.len(), 1);
    assert_eq!(
        request("QUERY", "/t", &[FORM, "range: 2-4"], "").range,
        RowRange { lower: 2, upper: Some(4) }
    );
}

#[test]
fn query_calls_a_function_as_get_does() {
    let asked = request("QUERY", "/rpc/f", &[FORM], "a=1&b=eq.2");
    assert_eq!(asked.action, Action::Call { function: "f".to_owned(), method: CallMethod::Get });
    assert_eq!(asked.arguments, [("a".to_owned(), "1".to_owned())]);
    assert_eq!((asked.filters.len(), asked.payload), (1, None));
}

#[test]
fn query_takes_forms_only() {
    for (headers, found) in [
        (&[][..], "none"),
        (&["content-type: text/plain"], "text/plain"),
        (&["content-type: application/json"], "application/json"),
    ] {
        let error = try_request("QUERY", "/t", headers, "a=eq.1").unwrap_err();
        assert_eq!(error, RequestError::QueryType(found.to_owned()));
    }
    assert_eq!(
        try_request("QUERY", "/", &[FORM], "").unwrap_err(),
        RequestError::Method("QUERY".to_owned()),
        "the root has no rows"
    );
}

#[test]
fn long_query_has_no_content_location() {
    let long = format!("a=in.({})", vec!["1"; 2_000].join(","));
    assert_eq!(request("QUERY", "/t", &[FORM], &long).canonical, None);
    let spread = format!("a=in.({})", vec!["1"; 800].join(","));
    assert_eq!(request("QUERY", "/t", &[FORM], &spread).canonical, None, "encoded it is longer");
    assert!(request("GET", &format!("/t?{long}"), &[], "").canonical.is_some());
    let longer = format!("a=in.({})", vec!["1"; 4_500].join(","));
    assert_eq!(request("GET", &format!("/t?{longer}"), &[], "").canonical, None, "clients would not read it");
    let spread = format!("a=in.({})", vec!["1"; 3_000].join(","));
    assert_eq!(request("GET", &format!("/t?{spread}"), &[], "").canonical, None, "encoded it is longer");
}

#[test]
fn query_method_allows_long_filters_only() {
    let details = |body: &str| match try_request("QUERY", "/t", &[FORM], body) {
        Ok(_) => String::new(),
        Err(RequestError::Query(error)) => error.details,
        Err(other) => panic!("{other:?}"),
    };
    let list = |count: usize| format!("a=in.({})", vec!["1"; count].join(","));
    assert_eq!(details(&list(1_000_000)), "");
    assert_eq!(details(&list(1_000_002)), "expecting at most 1000000 values in lists");
    assert_eq!(details(&"a=eq.1&".repeat(16_000)), "");
    assert!(details(&"a=eq.1&".repeat(17_000)).contains("16384 parameters"));
    let select = format!("select={}", vec!["a(b)"; 20_000].join(","));
    assert!(details(&select).contains("65536 bytes"));
    assert!(details(&format!("{}a=eq.1", "a.".repeat(40_000))).contains("65536 bytes"));
    assert!(details(&format!("or=(a{}.eq.1)", "->b".repeat(30_000))).contains("16384 steps"));
    let tree = |count: usize| format!("or=({})", vec!["a.is.null"; count].join(","));
    assert_eq!(details(&tree(16_000)), "");
    assert!(details(&tree(17_000)).contains("at most 16384 conditions"));
    assert!(
        details(&format!("{0}&{0}", tree(9_000))).contains("at most 16384 conditions"),
        "all trees together"
    );
}
