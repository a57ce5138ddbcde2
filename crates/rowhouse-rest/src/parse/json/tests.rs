use super::{Fault, Outer, scan};

fn keys(text: &str) -> (Vec<String>, bool) {
    let scan = scan(text.as_bytes(), 512).unwrap();
    (scan.keys, scan.uniform)
}

#[test]
fn keys_of_an_object_are_sorted_and_unique() {
    assert_eq!(keys(r#"{"b":1,"a":{"c":2},"b":3}"#), (vec!["a".to_owned(), "b".to_owned()], true));
}

#[test]
fn rows_with_the_same_keys_in_any_order_are_uniform() {
    assert!(keys(r#"[{"a":1,"b":2},{"b":3,"a":4},{"\u0061":1,"b":1}]"#).1);
    assert!(keys(r#"[{"a":1,"a":2},{"a":3}]"#).1);
}

#[test]
fn rows_with_other_keys_are_not_uniform() {
    for text in [
        r#"[{"a":1},{"b":2}]"#,
        r#"[{"a":1,"b":1},{"a":2}]"#,
        r#"[{"a":1},{"a":2,"c":1}]"#,
        "[1]",
        "[[]]",
        r#"[{},{"a":1}]"#,
    ] {
        assert!(!keys(text).1, "{text}");
    }
}

#[test]
fn outermost_value_is_reported() {
    for (text, outer) in [
        (" {} ", Outer::Object),
        ("[]", Outer::Array),
        ("null", Outer::Scalar),
        ("\"x\"", Outer::Scalar),
        ("-1.5e+3", Outer::Scalar),
    ] {
        assert_eq!(scan(text.as_bytes(), 4).unwrap().outer, outer);
    }
}

#[test]
fn malformed_texts_are_refused() {
    let texts = [
        "",
        "{",
        "}",
        "[1,]",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "tru",
        "01",
        "1.",
        "1e",
        "-",
        "\"\u{1}\"",
        "\"\\x\"",
        "\"\\u12\"",
        "[1]x",
        "{\"a\":1]",
        "\"",
        "\"\\",
    ];
    for text in texts {
        assert_eq!(scan(text.as_bytes(), 512), Err(Fault::Invalid), "{text}");
    }
    assert_eq!(scan(b"\"\xff\"", 512), Err(Fault::Invalid));
}

#[test]
fn depth_is_bounded_without_recursion() {
    let deep = "[".repeat(20_000);
    assert_eq!(scan(deep.as_bytes(), 512), Err(Fault::TooDeep));
    let fits = format!("{}{}", "[".repeat(512), "]".repeat(512));
    assert!(scan(fits.as_bytes(), 512).is_ok());
}

proptest::proptest! {
    #[test]
    fn scan_agrees_with_serde_json(text in r#"[\[\]{},:"a\\0-9.eE+tn u]{0,24}"#) {
        let ours = scan(text.as_bytes(), 512).is_ok();
        let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        // serde_json refuses lone surrogates and numbers out of range, which are left to PostgreSQL.
        proptest::prop_assert!(ours || !theirs);
    }
}
