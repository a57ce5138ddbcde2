use http::HeaderMap;

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
