use http::{HeaderMap, HeaderValue};
use rowhouse_kernel::Caller;

use super::{cookies, headers};

fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(*name, value.parse().unwrap());
    }
    map
}

#[test]
fn headers_are_json_without_cookies() {
    let map = map(&[("X-Quote", "say \"hi\" \\"), ("cookie", "a=1"), ("authorization", "Bearer x")]);
    let value: serde_json::Value = serde_json::from_str(&headers(&map)).unwrap();
    assert_eq!(value, serde_json::json!({"x-quote": "say \"hi\" \\", "authorization": "Bearer x"}));
}

#[test]
fn control_characters_and_invalid_utf8_are_escaped_for_json() {
    let mut map = HeaderMap::new();
    map.insert("x-tab", "a\tb".parse().unwrap());
    map.insert("x-utf8", HeaderValue::from_bytes("für".as_bytes()).unwrap());
    map.insert("x-latin", HeaderValue::from_bytes(b"f\xfcr").unwrap());
    let value: serde_json::Value = serde_json::from_str(&headers(&map)).unwrap();
    assert_eq!(value, serde_json::json!({"x-tab": "a\tb", "x-utf8": "für", "x-latin": "f\u{fffd}r"}));
}

#[test]
fn cookies_are_json() {
    let map = map(&[("cookie", "a=1; b=\"two\"; broken")]);
    assert_eq!(cookies(&map), r#"{"a":"1","b":"two"}"#);
    assert_eq!(cookies(&HeaderMap::new()), "{}");
}

#[test]
fn header_map_is_bounded() {
    let mut map = HeaderMap::new();
    map.insert("x-small", "1".parse().unwrap());
    map.insert("x-large", "v".repeat(20_000).parse().unwrap());
    assert!(headers(&map).len() < 16 * 1024);
}

#[test]
fn client_decides_how_the_transaction_ends_only_where_allowed() {
    use crate::settings::TxEnd;
    use rowhouse_db::flight::End::{Commit, Rollback};
    let asked = |setting, prefer: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert("prefer", HeaderValue::from_static(prefer));
        super::end(setting, crate::parse::preferences(&headers, setting).tx)
    };
    let cases = [
        (TxEnd::Commit, [Commit, Commit, Commit]),
        (TxEnd::CommitAllowOverride, [Commit, Commit, Rollback]),
        (TxEnd::Rollback, [Rollback, Rollback, Rollback]),
        (TxEnd::RollbackAllowOverride, [Rollback, Commit, Rollback]),
    ];
    for (setting, ends) in cases {
        assert_eq!(
            ["", "tx=commit", "tx=rollback"].map(|prefer| asked(setting, prefer)),
            ends,
            "{setting:?}"
        );
    }
}

#[test]
fn search_path_begins_with_the_served_schema_without_duplicates() {
    let extra = ["public".to_owned(), "ext\"ra".to_owned()];
    assert_eq!(super::search_path("api", &extra), r#""api", "public", "ext""ra""#);
    assert_eq!(super::search_path("public", &extra), r#""public", "ext""ra""#);
}

#[test]
fn anonymous_caller_takes_the_configured_role_and_keeps_its_claims() {
    let anyone = Caller::anonymous();
    assert!(super::anonymous(&anyone, "anon").unwrap().is_none());
    let caller = super::anonymous(&anyone, "web_anon").unwrap().unwrap();
    assert_eq!((&*caller.role, &*caller.claims), ("web_anon", r#"{"role":"web_anon"}"#));
    let named = Caller { claims: r#"{"id":1,"role":"anon"}"#.into(), ..anyone };
    let caller = super::anonymous(&named, "web_anon").unwrap().unwrap();
    assert_eq!(&*caller.claims, r#"{"id":1,"role":"web_anon"}"#);
    let user = Caller { role: "author".into(), ..named.clone() };
    assert!(super::anonymous(&user, "").unwrap().is_none());
    assert!(super::anonymous(&named, "").is_err());
}
