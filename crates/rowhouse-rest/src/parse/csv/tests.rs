use super::to_json;

fn json(text: &str) -> Result<String, &'static str> {
    to_json(text).map(|(json, _)| String::from_utf8(json).unwrap())
}

#[test]
fn lines_become_objects_of_texts() {
    let (json, keys) = to_json("b,a\r\nx,1\r\n\"y \"\"z\"\", w\",NULL\r\n").unwrap();
    assert_eq!(String::from_utf8(json).unwrap(), r#"[{"b":"x","a":"1"},{"b":"y \"z\", w","a":null}]"#);
    assert_eq!(keys, ["a", "b"]);
}

#[test]
fn quoted_null_is_text_and_quotes_hold_line_breaks() {
    assert_eq!(json("a\n\"NULL\"\n\"1\n2\"\n").unwrap(), r#"[{"a":"NULL"},{"a":"1\n2"}]"#);
}

#[test]
fn header_alone_has_no_rows() {
    assert_eq!(json("a,b\n").unwrap(), "[]");
    assert_eq!(json(""), Err("not enough input"));
}

#[test]
fn lines_with_other_field_counts_and_unclosed_quotes_are_refused() {
    assert_eq!(json("a,b\n1\n"), Err("All lines must have same number of fields"));
    assert!(json("a\n\"1\n").is_err());
    assert!(json("a\n\"1\"x\n").is_err());
}
