use super::{Batch, check};
use crate::settings::RestSettings;

fn batch(text: &str) -> Batch {
    Batch::of(text.as_bytes(), 1)
}

fn is_fine(text: &str, expected: Option<&[&str]>) -> bool {
    let keys: Option<Vec<String>> = expected.map(|keys| keys.iter().map(|&key| key.to_owned()).collect());
    check(&batch(text), keys.as_deref(), &RestSettings::default()).is_ok()
}

#[test]
fn lines_become_an_array_without_the_blank_ones() {
    let lines = Batch::of(b"{\"a\":1}\r\n\n  {\"a\":2}\n", 7);
    assert_eq!(&lines.array[..], b"[{\"a\":1},\n{\"a\":2}]");
    assert_eq!((lines.rows, lines.first, lines.last), (2, 7, 9));
    assert_eq!(&batch("").array[..], b"[]");
    assert_eq!(&batch("{\"a\":1}").array[..], b"[{\"a\":1}]");
}

#[test]
fn each_line_must_hold_one_value() {
    assert!(is_fine("{\"a\":1}\n{\"a\":2}", None));
    for text in [
        "{\"a\":1},{\"a\":2}",
        "{\"a\":1} {\"a\":2}",
        "{\"a\":\n1}",
        "{\"a\":\"x\ny\"}",
        "]\n[",
        "{\"a\":1}]\n[{\"a\":1}",
        "{\"a\":1",
    ] {
        assert!(!is_fine(text, None), "{text}");
    }
}

#[test]
fn keys_must_be_those_of_the_first_batch_where_they_count() {
    assert!(is_fine("{\"a\":1,\"b\":2}\n{\"b\":1,\"a\":2}", Some(&["a", "b"])));
    assert!(!is_fine("{\"a\":1}\n{\"a\":2}", Some(&["a", "b"])));
    assert!(!is_fine("{\"a\":1}\n{\"b\":2}", Some(&["a"])));
    assert!(!is_fine("1\n2", Some(&["a"])));
    assert!(is_fine("{\"a\":1}\n{\"b\":2}", None));
}
