use super::Extensions;
use crate::transport::{Envelope, TransportError};

fn offered(lines: &[&str]) -> Extensions {
    Extensions::read(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>())
}

fn envelope(to: &str) -> Envelope {
    Envelope { from: "a@x.example".to_owned(), to: to.to_owned() }
}

#[test]
fn extensions_are_read_in_any_case_and_the_server_name_is_skipped() {
    let all = offered(&["STARTTLS", "size 100", "Auth=LOGIN", "AUTH PLAIN CRAM-MD5", "8bitmime"]);
    assert!(!all.starttls && all.auth_plain && all.auth_login && all.eight_bit && all.max_bytes == 100);
}

#[test]
fn mail_that_needs_a_missing_extension_is_not_sent() {
    let poor = offered(&["relay", "SIZE 50"]);
    let rich = offered(&["relay", "SIZE", "8BITMIME", "SMTPUTF8"]);
    assert_eq!(poor.parameters(&envelope("b@y.example"), b"12345").unwrap(), " SIZE=5");
    assert_eq!(
        rich.parameters(&envelope("\u{fc}@y.example"), "\u{fc}".as_bytes()).unwrap(),
        " SIZE=2 BODY=8BITMIME SMTPUTF8"
    );
    for (to, message) in [
        ("\u{fc}@y.example", "x".to_owned()),
        ("b@y.example", "\u{fc}".to_owned()),
        ("b@y.example", "x".repeat(51)),
    ] {
        let refused = poor.parameters(&envelope(to), message.as_bytes());
        assert!(matches!(refused, Err(TransportError::Unfit(_))), "{to} {refused:?}");
    }
}
