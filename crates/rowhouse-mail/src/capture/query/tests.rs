use time::OffsetDateTime;

use super::Query;
use crate::capture::mailbox::Captured;

fn message() -> Captured {
    let mime = "From: Ada <ada@x.example>\r\nTo: Bob <bob@y.example>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= from us\r\n\
                Message-ID: <1@x.example>\r\n\r\nYour code is 123456, or https://x.example/c.\r\n";
    Captured {
        id: 1,
        created_at: OffsetDateTime::UNIX_EPOCH,
        envelope_from: "ada@x.example".to_owned(),
        tags: vec!["Welcome".to_owned(), "a b".to_owned()],
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
        "-has:inline",
        "tag:\"a b\"",
        "before:1970-01-02",
        "after:\"1969-12-31 23:59\" larger:100 smaller:1k",
        "https://x.example",
    ] {
        assert!(Query::read(query).unwrap().unwrap().matches(&message()), "{query}");
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
        "tag:wel",
        "code nothing",
        "http://x.example",
        "has:inline",
        "before:1970-01-01",
        "after:1970-01-02",
        "larger:1k",
        "smaller:100",
    ] {
        assert!(!Query::read(query).unwrap().unwrap().matches(&message()), "{query}");
    }
}

#[test]
fn empty_query_is_none() {
    for query in ["", "  ", "-", "\"\"", "to:"] {
        assert_eq!(Query::read(query), Ok(None), "{query}");
    }
}

#[test]
fn unsupported_terms_are_refused() {
    for query in ["is:odd", "has:wings", "before:soon", "larger:much", &"x ".repeat(21)] {
        assert!(Query::read(query).is_err(), "{query}");
    }
}

#[test]
fn files_are_found_by_name() {
    let mime = "From: a@x.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n\
        --o\r\nContent-Type: text/plain\r\n\r\nHello\r\n\
        --o\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=Invoice.txt\r\n\r\nx\r\n--o--\r\n";
    let message = Captured { mime: mime.as_bytes().to_vec(), ..message() };
    for query in ["has:attachment", "has:attachments invoice.txt", "-has:inline"] {
        assert!(Query::read(query).unwrap().unwrap().matches(&message), "{query}");
    }
}
