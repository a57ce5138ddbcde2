use rowhouse_kernel::{FakeClock, SeededRng};
use time::macros::datetime;

use super::{Composed, compose};
use crate::error::MailError;
use crate::message::{Attachment, NewMail, read_mailbox};

fn compose_one(mail: &NewMail) -> Result<Composed, MailError> {
    let from = read_mailbox("from", "Shop <shop@shop.example>").unwrap();
    compose(mail, from, &*FakeClock::at(datetime!(2026-11-21 10:00 UTC)), &*SeededRng::new(1))
}

fn mail() -> NewMail {
    NewMail {
        to: vec![read_mailbox("to", "Ada <ada@b.example>").unwrap()],
        subject: "Grüße".to_owned(),
        text: Some("Hello\n".to_owned()),
        ..NewMail::default()
    }
}

fn text(composed: &Composed) -> String {
    String::from_utf8(composed.mime.clone()).unwrap()
}

#[test]
fn plain_mail_has_the_headers_that_every_mail_needs() {
    let composed = compose_one(&mail()).unwrap();
    let parsed = mail_parser::MessageParser::default().parse(&composed.mime).unwrap();
    assert_eq!(parsed.subject(), Some("Grüße"));
    assert_eq!(parsed.message_id(), Some(composed.message_id.as_str()));
    assert!(composed.message_id.ends_with("@shop.example"), "{}", composed.message_id);
    assert_eq!(parsed.from().unwrap().first().unwrap().address(), Some("shop@shop.example"));
    assert_eq!(parsed.to().unwrap().first().unwrap().name(), Some("Ada"));
    assert_eq!(parsed.date().unwrap().to_rfc3339(), "2026-11-21T10:00:00Z");
    assert_eq!(parsed.body_text(0).unwrap().trim(), "Hello");
    assert!(text(&composed).contains("MIME-Version: 1.0\r\n"));
}

#[test]
fn text_html_and_files_become_nested_parts() {
    let file = Attachment {
        name: "Größe.pdf".to_owned(),
        content_type: "application/pdf".to_owned(),
        content_id: None,
        content: vec![0, 255, 13, 10],
    };
    let logo = Attachment {
        name: "logo.png".to_owned(),
        content_type: "image/png".to_owned(),
        content_id: Some("logo".to_owned()),
        content: vec![1],
    };
    let mail = NewMail { html: Some("<p>Hello</p>".to_owned()), attachments: vec![file, logo], ..mail() };
    let composed = compose_one(&mail).unwrap();
    let parsed = mail_parser::MessageParser::default().parse(&composed.mime).unwrap();
    assert_eq!(parsed.body_html(0).unwrap(), "<p>Hello</p>");
    assert_eq!(parsed.attachments().count(), 2);
    // mixed(alternative(text, related(html, logo)), file)
    let kinds = [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "application/pdf",
    ];
    let found: Vec<String> = parsed.parts.iter().filter_map(kind).collect();
    assert_eq!(found, kinds);
    let logo = parsed.attachments().next().unwrap();
    assert_eq!(mail_parser::MimeHeaders::content_id(logo), Some("logo"));
    let file = parsed.attachments().nth(1).unwrap();
    assert_eq!(mail_parser::MimeHeaders::attachment_name(file), Some("Größe.pdf"));
    assert_eq!(file.contents(), [0, 255, 13, 10]);
}

fn kind(part: &mail_parser::MessagePart<'_>) -> Option<String> {
    let media = mail_parser::MimeHeaders::content_type(part)?;
    Some(format!("{}/{}", media.ctype(), media.subtype()?))
}

#[test]
fn words_too_long_for_a_line_are_refused_and_other_headers_folded() {
    let words = "word ".repeat(300);
    let composed = compose_one(&NewMail { subject: words.clone(), ..mail() }).unwrap();
    let head = text(&composed).split("\r\n\r\n").next().unwrap().to_owned();
    assert!(head.lines().all(|line| line.len() <= 998), "{head}");
    let word = "x".repeat(1200);
    for mail in [
        NewMail { subject: word.clone(), ..mail() },
        NewMail { headers: vec![("X-Token".to_owned(), word.clone())], ..mail() },
    ] {
        assert!(matches!(compose_one(&mail), Err(MailError::Invalid(why)) if why.contains("998")));
    }
}

#[test]
fn blind_recipients_are_in_the_envelope_only_and_each_recipient_once() {
    let address = |text| read_mailbox("to", text).unwrap();
    let mail = NewMail {
        cc: vec![address("C <c@b.example>"), address("ADA@b.example")],
        bcc: vec![address("secret@b.example")],
        ..mail()
    };
    let composed = compose_one(&mail).unwrap();
    let recipients: Vec<String> = composed.recipients.iter().map(ToString::to_string).collect();
    assert_eq!(recipients, ["ada@b.example", "c@b.example", "secret@b.example"]);
    assert!(!text(&composed).contains("secret"));
}

#[test]
fn nothing_that_a_caller_gives_adds_a_header() {
    let evil = "x\r\nBcc: victim@b.example";
    let name = lettre::message::Mailbox::new(Some(evil.to_owned()), "a@b.example".parse().unwrap());
    let file = |name: &str, content_type: &str, id: Option<&str>| Attachment {
        name: name.to_owned(),
        content_type: content_type.to_owned(),
        content_id: id.map(str::to_owned),
        content: Vec::new(),
    };
    let header = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    for (what, mail) in [
        ("to", NewMail { to: vec![name.clone()], ..mail() }),
        ("cc", NewMail { cc: vec![name.clone()], ..mail() }),
        ("bcc", NewMail { bcc: vec![name.clone()], ..mail() }),
        ("reply_to", NewMail { reply_to: Some(name), ..mail() }),
        ("subject", NewMail { subject: evil.to_owned(), ..mail() }),
        ("headers", NewMail { headers: header(evil, "x"), ..mail() }),
        ("X-A", NewMail { headers: header("X-A", evil), ..mail() }),
        ("headers", NewMail { headers: header("Bcc", "v@b.example"), ..mail() }),
        ("headers", NewMail { headers: header("Content-Type", "text/html"), ..mail() }),
        ("headers", NewMail { headers: header("", "x"), ..mail() }),
        ("attachments", NewMail { attachments: vec![file(evil, "a/b", None)], ..mail() }),
        ("attachments", NewMail { attachments: vec![file("x", "a/b\r\nBcc: c", None)], ..mail() }),
        ("attachments", NewMail { attachments: vec![file("x", "nonsense", None)], ..mail() }),
        ("attachments", NewMail { attachments: vec![file("x", "a/b", Some(evil))], ..mail() }),
    ] {
        let error = compose_one(&mail).unwrap_err();
        assert!(matches!(error, MailError::Invalid(_)), "{what}: {error}");
        assert!(error.to_string().starts_with(what), "{what}: {error}");
    }
}

#[test]
fn mail_without_recipient_or_content_is_refused() {
    for (mail, says) in [
        (NewMail { to: Vec::new(), ..mail() }, "1 to 100 recipients"),
        (NewMail { to: vec![mail().to[0].clone(); 101], ..mail() }, "1 to 100 recipients"),
        (NewMail { text: None, ..mail() }, "text, html or both"),
    ] {
        let error = compose_one(&mail).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn further_headers_travel() {
    let mail = NewMail { headers: vec![("X-Order".to_owned(), "größer 7".to_owned())], ..mail() };
    let composed = compose_one(&mail).unwrap();
    assert!(text(&composed).contains("\r\nX-Order: =?utf-8?b?Z3LDtsOfZXI=?= 7\r\n"), "{}", text(&composed));
}

#[test]
fn file_cannot_end_the_message_that_it_travels_in() {
    let evil = b"a\n.\nMAIL FROM:<x@y.example>\r.\r".to_vec();
    let file = Attachment {
        name: "a.txt".to_owned(),
        content_type: "text/plain".to_owned(),
        content_id: None,
        content: evil.clone(),
    };
    let text = Some("b\n.\nMAIL FROM:<x@y.example>\r.\r".to_owned());
    let composed = compose_one(&NewMail { attachments: vec![file], text, ..mail() }).unwrap();
    let lone = |(place, byte): (usize, &u8)| match byte {
        b'\n' => place == 0 || composed.mime[place - 1] != b'\r',
        b'\r' => composed.mime.get(place + 1) != Some(&b'\n'),
        _ => false,
    };
    assert!(!composed.mime.iter().enumerate().any(lone), "{}", self::text(&composed));
    let parsed = mail_parser::MessageParser::default().parse(&composed.mime).unwrap();
    assert_eq!(parsed.attachments().next().unwrap().contents(), evil);
}

#[test]
fn number_and_size_of_parts_are_bounded() {
    let file = |name: &str| Attachment {
        name: name.to_owned(),
        content_type: "a/b".to_owned(),
        content_id: None,
        content: Vec::new(),
    };
    let long = "n".repeat(501);
    let named = lettre::message::Mailbox::new(Some(long.clone()), "a@b.example".parse().unwrap());
    for (mail, says) in [
        (NewMail { attachments: vec![file("x"); 101], ..mail() }, "attachments: more than 100"),
        (NewMail { attachments: vec![file(&long)], ..mail() }, "attachments: a name is longer"),
        (NewMail { to: vec![named], ..mail() }, "to: the name is longer"),
        (NewMail { text: Some("a\0b".to_owned()), ..mail() }, "a message contains no zero bytes"),
        (NewMail { html: Some("\0".to_owned()), ..mail() }, "a message contains no zero bytes"),
    ] {
        let error = compose_one(&mail).unwrap_err().to_string();
        assert!(error.starts_with(says), "{error}");
    }
}
