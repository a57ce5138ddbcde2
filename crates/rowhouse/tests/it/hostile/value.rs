//! Values that have broken programs: what no column holds, what no number is, what is longer or deeper than anybody expects.

use serde_json::{Value, json};

/// Longer than every text that is stored.
const LONG: usize = 20_000;
/// More than any list has.
const MANY: usize = 3_000;

/// Texts for parameters and fields alike.
pub(crate) fn texts() -> Vec<String> {
    let plain = [
        "",
        " ",
        "\0",
        "a\0b",
        "'; --\\%_\"{}[]",
        "\u{feff}\u{202e}\u{200d}\u{1f469}",
        "not-a-uuid",
        "00000000-0000-0000-0000-000000000000",
        "-1",
        "99999999999999999999",
        "NaN",
        "infinity",
        "-infinity",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999999-23:59",
        "2027-01-31T23:59:60Z",
        "294277-01-01T00:00:00Z",
        "http://[::1",
        "a@b@c",
        "../..",
        "true",
        "null",
    ];
    let mut texts: Vec<String> = plain.map(str::to_owned).into();
    texts.push("x".repeat(LONG));
    texts.push("\u{10ffff}".repeat(300));
    texts
}

/// What is no text.
fn others() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(0.5),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e308),
        json!([]),
        json!({}),
        json!([null]),
        json!({ "\0": "\0" }),
        deep(100),
    ]
}

/// Texts and everything else.
pub(crate) fn values() -> Vec<Value> {
    texts().into_iter().map(Value::from).chain(others()).collect()
}

/// A list of that item, longer than any may be.
pub(crate) fn many(item: &Value) -> Value {
    Value::Array(vec![item.clone(); MANY])
}

fn deep(depth: usize) -> Value {
    (0..depth).fold(json!(1), |inner, _| json!([inner]))
}

/// Bodies that are no JSON object, each with what is wrong.
pub(crate) fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("no JSON", b"{".to_vec()),
        ("a list", b"[1]".to_vec()),
        ("null", b"null".to_vec()),
        ("no UTF-8", b"{\"name\":\"\xff\"}".to_vec()),
        ("half a surrogate", br#"{"name":"\ud800"}"#.to_vec()),
        ("a number beyond all", br#"{"name":1e999}"#.to_vec()),
        ("a field twice", br#"{"name":"a","name":"b"}"#.to_vec()),
        ("too deep", [b"{\"name\":".as_slice(), &[b'['; 5000]].concat()),
        ("too long", [b"{\"name\":\"".as_slice(), &[b'x'; 1_100_000], b"\"}"].concat()),
        ("an unknown field", br#"{"surprise":1}"#.to_vec()),
    ]
}
