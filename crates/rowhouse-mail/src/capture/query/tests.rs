use time::OffsetDateTime;

use super::Query;
use crate::capture::mailbox::Captured;

fn message() -> Captured {
    let mime = "From: Ada <ada@x.example>\r\nTo: Bob <bob@y.example>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= from us\r\n\
                Message-ID: <1@x.example>\r\n\r\nYour code is 123456.\r\n";
    Captured {
        id: 1,
        created_at: OffsetDateTime::UNIX_EPOCH,
        envelope_from: "ada@x.example".to_owned(),
        tag: Some("Welcome".to_owned()),
        is_read: false,
        mime: mime.as_bytes().to_vec(),
        recipients: vec!["bob@y.example".to_owned(), "Eve@y.example".to_owned()],
    }
}

#[test]
fn terms_find_the_message() {
    for query in [
        "123456",
        "\"your code\"",
        "from:ada",
        "to:BOB@y.example",
        "bcc:eve@y.example",
        "subject:\"Grüße from\"",
        "message-id:1@x.example",
        "tag:welcome",
        "is:unread",
        "addressed:eve",
        "-to:eve",
        "!is:read code",
        "is:tagged",
        "-has:attachment",
    ] {
        assert!(Query::read(query).unwrap().matches(&message()), "{query}");
    }
}

#[test]
fn terms_that_do_not_hold_find_nothing() {
    for query in [
        "654321",
        "from:bob",
        "to:eve",
        "-code",
        "is:read",
        "has:attachment",
        "is:odd",
        "tag:wel",
        "code nothing",
    ] {
        assert!(!Query::read(query).unwrap().matches(&message()), "{query}");
    }
}

#[test]
fn query_for_nothing_is_none() {
    for query in ["", "  ", "-", "\"\"", "to:"] {
        assert_eq!(Query::read(query), None, "{query}");
    }
}
