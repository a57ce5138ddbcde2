use lettre::Address;
use rowhouse_kernel::{FakeClock, SeededRng, TenantId};
use time::macros::datetime;

use super::prepare;
use crate::compose::Composed;
use crate::error::MailError;
use crate::message::{RawMail, read_mailbox};

fn prepare_one(mime: &[u8]) -> Result<Composed, MailError> {
    let to: Address = "ada@b.example".parse().unwrap();
    let mail = RawMail { to: vec![to.clone(), to], mime: mime.to_vec(), ..RawMail::default() };
    let clock = FakeClock::at(datetime!(2026-11-21 10:00 UTC));
    prepare(&mail, &*clock, &*SeededRng::new(1))
}

#[test]
fn complete_message_is_left_byte_for_byte() {
    let mime =
        b"Message-ID: <1@x.example>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nFrom: A <a@x.example>\r\n\
        Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nBody\r\n.\r\n";
    let composed = prepare_one(mime).unwrap();
    assert_eq!(composed.mime, mime);
    assert_eq!((composed.message_id.as_str(), composed.subject.as_str()), ("1@x.example", "Grüße"));
    assert_eq!(composed.sender, read_mailbox("from", "A <a@x.example>").unwrap());
    assert_eq!(composed.recipients.len(), 1);
}

#[test]
fn missing_headers_are_added_and_hidden_ones_removed() {
    let composed =
        prepare_one(b"From: a@x.example\nBcc: secret@b.example,\n other@b.example\nSubject: S\n\nBody\n")
            .unwrap();
    let text = String::from_utf8(composed.mime).unwrap();
    let expected = format!(
        "Message-ID: <{}>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nFrom: a@x.example\r\nSubject: S\r\n\r\nBody\r\n",
        composed.message_id
    );
    assert_eq!(text, expected);
    assert!(composed.message_id.ends_with("@x.example"));
}

/// Receivers believe such headers, and mail providers remove them at submission.
#[test]
fn signatures_and_results_of_authentication_are_not_a_tenant_s_to_write() {
    let mime = b"From: a@x.example\r\nDKIM-Signature: v=1; d=bank.example;\r\n b=abc\r\n\
        Authentication-Results: mx.example; dkim=pass\r\nReceived-SPF: pass\r\nARC-Seal: i=1\r\n\
        arc-message-signature: i=1\r\nARC-Authentication-Results: i=1\r\nX-Mine: kept\r\n\r\nBody";
    let prepared = |tenant| {
        let to = vec!["ada@b.example".parse().unwrap()];
        let mail = RawMail { to, mime: mime.to_vec(), tenant, ..RawMail::default() };
        let clock = FakeClock::at(datetime!(2026-11-21 10:00 UTC));
        let composed = prepare(&mail, &*clock, &*SeededRng::new(1)).unwrap();
        let text = String::from_utf8(composed.mime).unwrap();
        let (_, after) = text.split_once("From:").unwrap();
        after.to_owned()
    };
    let tenant = TenantId(uuid::Uuid::from_u128(7));
    assert_eq!(prepared(Some(tenant)), " a@x.example\r\nX-Mine: kept\r\n\r\nBody");
    let own = " a@x.example\r\nDKIM-Signature: v=1; d=bank.example;\r\n b=abc\r\nARC-Seal: i=1\r\n\
        arc-message-signature: i=1\r\nARC-Authentication-Results: i=1\r\nX-Mine: kept\r\n\r\nBody";
    assert_eq!(prepared(None), own);
}

#[test]
fn message_without_body_still_travels() {
    let composed = prepare_one(b"From: a@x.example\r\nSubject: only\r\n").unwrap();
    assert!(composed.mime.ends_with(b"Subject: only\r\n\r\n"));
}

#[test]
fn message_needs_a_from_in_which_everything_is_an_address() {
    for from in [
        "",
        "From:\r\n",
        "From: nobody\r\n",
        "From: <>\r\n",
        "From: a@x.example, nobody\r\n",
        "From: a@x.example\r\nSender: nobody\r\n",
    ] {
        let error = prepare_one(format!("Subject: s\r\n{from}\r\nBody").as_bytes());
        assert!(matches!(error, Err(MailError::Invalid(_))), "{from:?}");
    }
    let composed =
        prepare_one(b"From: A <a@x.example>, b@y.example\r\nSender: c@z.example\r\n\r\nBody").unwrap();
    let authors: Vec<String> = composed.authors.iter().map(ToString::to_string).collect();
    assert_eq!(authors, ["a@x.example", "b@y.example", "c@z.example"]);
    assert_eq!(composed.sender.email.to_string(), "a@x.example");
}

#[test]
fn unreadable_date_is_replaced() {
    for date in ["", "yesterday", "Sat, 99 Nov 2026 10:00:00 +0000"] {
        let composed =
            prepare_one(format!("From: a@x.example\r\nDate: {date}\r\n\r\nBody").as_bytes()).unwrap();
        let text = String::from_utf8(composed.mime).unwrap();
        let dates: Vec<&str> = text.lines().filter(|line| line.starts_with("Date:")).collect();
        assert_eq!(dates, ["Date: Sat, 21 Nov 2026 10:00:00 +0000"], "{date}");
    }
}

#[test]
fn unreadable_message_id_is_replaced() {
    for id in ["", "<>", " \r\n "] {
        let composed =
            prepare_one(format!("From: a@x.example\r\nMessage-ID: {id}\r\n\r\nBody").as_bytes()).unwrap();
        let text = String::from_utf8(composed.mime).unwrap();
        let ids: Vec<&str> = text.lines().filter(|line| line.starts_with("Message-ID:")).collect();
        assert_eq!(ids, [format!("Message-ID: <{}>", composed.message_id)], "{id:?}");
        assert!(composed.message_id.ends_with("@x.example"), "{}", composed.message_id);
    }
}

#[test]
fn malformed_message_is_refused() {
    for mime in [&b""[..], b"\r\n\r\nBody", b"no header", b"A: \0", b"A: \xff\r\n\r\n"] {
        assert!(matches!(prepare_one(mime), Err(MailError::Invalid(_))), "{mime:?}");
    }
    assert!(prepare_one(format!("A: {}\r\n\r\n", "x".repeat(300_000)).as_bytes()).is_err());
}

#[test]
fn lone_line_ends_are_completed() {
    let composed = prepare_one(
        b"Message-ID: <1@x>\rFrom: a@x.example\rDate: Sat, 21 Nov 2026 10:00:00 +0000\n\na\rb\nc",
    )
    .unwrap();
    assert!(composed.mime.ends_with(b"\r\n\r\na\r\nb\r\nc"), "{:?}", String::from_utf8_lossy(&composed.mime));
}

#[test]
fn repeated_singular_header_is_refused() {
    for name in ["From", "sender", "SUBJECT", "Date", "Message-Id", "To", "Cc", "Reply-To"] {
        let mime =
            format!("From : a@x.example\n{name}: b@y.example\n {name}: folded\n{name} : c@z.example\n\nBody");
        let error = prepare_one(mime.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("the message has more than one "), "{name}: {error}");
    }
    assert!(
        prepare_one(b"From: a@x.example\nReceived: x\nReceived: y\nX-A: 1\nX-A: 2\n\nFrom: b\nFrom: c")
            .is_ok()
    );
    let composed = prepare_one(b"From: a@x.example\nResent-Bcc: secret@b.example\n\nBody").unwrap();
    assert!(!String::from_utf8(composed.mime).unwrap().contains("secret"));
}
