use super::read_mailbox;

#[test]
fn address_is_read_with_and_without_a_name() {
    for (text, shown) in [
        ("a@b.example", "a@b.example"),
        ("  Ada Lovelace <ada@b.example> ", "\"Ada Lovelace\" <ada@b.example>"),
        ("\"Love, \\\"Ada\\\"\" <ada@b.example>", "\"Love, \\\"Ada\\\"\" <ada@b.example>"),
        ("Zoë <zoe@bücher.example>", "Zoë <zoe@xn--bcher-kva.example>"),
    ] {
        let mailbox = read_mailbox("to", text).unwrap();
        let expected: lettre::message::Mailbox = shown.parse().unwrap();
        assert_eq!(mailbox, expected, "{text}");
    }
}

#[test]
fn invalid_address_and_injected_header_are_refused_by_field() {
    for text in [
        "",
        "nobody",
        "a@b@c",
        "<>",
        "a@b.example\r\nBcc: c@d.example",
        "Ada\nX: y <a@b.example>",
        "a b@c.example",
        "a@b.example>",
        "a@b.example, c@d.example",
        "\"a b\"@c.example",
        "a@b.example\0",
    ] {
        let error = read_mailbox("to", text).unwrap_err().to_string();
        assert!(error.starts_with("to: "), "{text:?}: {error}");
    }
    assert!(read_mailbox("to", &format!("{}@b.example", "a".repeat(400))).is_err());
}
