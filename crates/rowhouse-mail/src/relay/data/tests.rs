use super::encode;

#[test]
fn dots_are_doubled_and_no_line_is_added() {
    for (message, expected) in [
        ("A: b\r\n\r\nlast\r\n", "A: b\r\n\r\nlast\r\n.\r\n"),
        ("A: b\r\n\r\nlast", "A: b\r\n\r\nlast\r\n.\r\n"),
        (".\r\n..\r\na.b\r\n", "..\r\n...\r\na.b\r\n.\r\n"),
        ("a\r\n.", "a\r\n..\r\n.\r\n"),
        ("", "\r\n.\r\n"),
    ] {
        assert_eq!(String::from_utf8(encode(message.as_bytes())).unwrap(), expected, "{message:?}");
    }
}
