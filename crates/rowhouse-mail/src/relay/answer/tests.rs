use super::{Line, line};

#[test]
fn reply_code_is_three_digits_and_the_rest_is_text() {
    let expect = |code, is_last, text: &str| Some(Line { code, is_last, text: text.to_owned() });
    for (bytes, expected) in [
        (&b"250 2.0.0 taken"[..], expect(250, true, "2.0.0 taken")),
        (b"250-SIZE 10", expect(250, false, "SIZE 10")),
        (b"250", expect(250, true, "")),
        (b"571 5.7.1 no", expect(571, true, "5.7.1 no")),
        (b"499\tx\x07y", expect(499, true, "x y")),
        (b"550 \xff", expect(550, true, "\u{fffd}")),
        (b"2x0 a", None),
        (b"150 a", None),
        (b"650 a", None),
        (b"2500 a", None),
        (b"25", None),
        (b"", None),
    ] {
        assert_eq!(line(bytes), expected, "{}", String::from_utf8_lossy(bytes));
    }
}
