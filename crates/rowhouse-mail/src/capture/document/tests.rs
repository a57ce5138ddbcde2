use serde_json::json;
use time::OffsetDateTime;

use super::{headers, summary, whole};
use crate::capture::mailbox::Captured;
use crate::capture::part::{content, with_parts};

const MIME: &str = "Message-ID: <7@x.example>\r\n\
Date: Sat, 21 Nov 2026 10:00:00 +0100\r\n\
From: =?utf-8?q?Zo=C3=AB?= <zoe@x.example>\r\n\
To: Bob <bob@y.example>,\r\n carl@y.example\r\n\
Cc: dora@y.example\r\n\
Reply-To: desk@x.example\r\n\
Subject: Your invoice\r\n\
List-Unsubscribe: <https://x.example/u?t=1>\r\n\
List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\
MIME-Version: 1.0\r\n\
Content-Type: multipart/mixed; boundary=o\r\n\
\r\n\
--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n\
--i\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello\r\n  Bob\r\n\
--i\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Hello Bob</p>\r\n\
--i--\r\n\
--o\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=invoice.pdf\r\n\
Content-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n\
--o--\r\n";

fn captured() -> Captured {
    Captured {
        id: 12,
        created_at: OffsetDateTime::UNIX_EPOCH,
        envelope_from: "bounce@x.example".to_owned(),
        tags: vec!["invoice".to_owned()],
        is_read: false,
        mime: MIME.as_bytes().to_vec(),
        recipients: ["bob@y.example", "carl@y.example", "dora@y.example", "eve@y.example"]
            .map(str::to_owned)
            .into(),
    }
}

#[test]
fn summary_has_mailpit_s_shape() {
    let person = |name: &str, address: &str| json!({ "Name": name, "Address": address });
    let expected = json!({
        "ID": "12", "MessageID": "7@x.example", "Read": false,
        "From": person("Zoë", "zoe@x.example"),
        "To": [person("Bob", "bob@y.example"), person("", "carl@y.example")],
        "Cc": [person("", "dora@y.example")],
        "Bcc": [person("", "eve@y.example")],
        "ReplyTo": [person("", "desk@x.example")],
        "Subject": "Your invoice", "Created": "1970-01-01T00:00:00Z", "Username": "", "Tags": ["invoice"],
        "Size": MIME.len(), "Attachments": 1, "Snippet": "Hello Bob",
    });
    assert_eq!(summary(&captured()), expected);
}

#[test]
fn whole_message_has_its_bodies_and_files() {
    let document = whole(&captured());
    assert_eq!(document["Text"].as_str().unwrap().trim_end(), "Hello\r\n  Bob");
    assert_eq!(document["HTML"].as_str().unwrap().trim_end(), "<p>Hello Bob</p>");
    assert_eq!(document["Date"], "2026-11-21T09:00:00Z");
    assert_eq!(document["ReturnPath"], "bounce@x.example");
    assert_eq!(document["Inline"], json!([]));
    let id = document["Attachments"][0]["PartID"].as_str().unwrap();
    let file = json!({ "PartID": id, "FileName": "invoice.pdf", "ContentType": "application/pdf", "ContentID": "", "Size": 4,
        "Checksums": { "SHA256": "315d429b7714cedb6ad04ac31240145257692630457f3c88253c5beceac76027" } });
    assert_eq!(document["Attachments"], json!([file]));
    let file = content(&captured(), id.parse().unwrap()).unwrap();
    assert_eq!((file.media_type.as_str(), file.bytes), ("application/pdf", b"%PDF".to_vec()));
    assert_eq!(file.disposition, "attachment; filename*=UTF-8''invoice%2Epdf");
    assert_eq!(
        document["ListUnsubscribe"],
        json!({ "Header": "<https://x.example/u?t=1>", "Links": ["https://x.example/u?t=1"], "Errors": "", "HeaderPost": "List-Unsubscribe=One-Click" })
    );
}

#[test]
fn headers_are_unfolded_and_listed() {
    let headers = headers(&captured());
    assert_eq!(headers["To"], json!(["Bob <bob@y.example>, carl@y.example"]));
    assert_eq!(headers["Subject"], json!(["Your invoice"]));
}

#[test]
fn header_names_are_those_that_were_sent() {
    let mime = b"from: a@x.example\r\nX-MixedCASE: 1\r\nRECEIVED: by x\r\nReceived: by y\r\n\r\nx".to_vec();
    let headers = headers(&Captured { mime, ..captured() });
    assert_eq!(headers["from"], json!(["a@x.example"]));
    assert_eq!((&headers["X-MixedCASE"], &headers["RECEIVED"]), (&json!(["1"]), &json!(["by x"])));
}

#[test]
fn text_of_an_html_only_mail_is_derived_from_its_html() {
    let mime = b"From: a@x.example\r\nContent-Type: text/html\r\n\r\n<b>Hi</b> there".to_vec();
    let captured = Captured { mime, ..captured() };
    let document = whole(&captured);
    assert_eq!((&document["Text"], &document["HTML"]), (&json!("Hi there"), &json!("<b>Hi</b> there")));
    assert_eq!(summary(&captured)["Snippet"], "Hi there");
}

#[test]
fn inline_files_are_not_attachments_and_are_shown_where_the_html_names_them() {
    let mime = b"From: a@x.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=r\r\n\r\n\
        --r\r\nContent-Type: text/html\r\n\r\n<img src=\"cid:lo%67o\"><img src='cid:other'>\r\n\
        --r\r\nContent-Type: image/png\r\nContent-ID: <logo>\r\nContent-Disposition: inline; filename=l.png\r\n\r\nx\r\n--r--\r\n";
    let captured = Captured { mime: mime.to_vec(), ..captured() };
    let document = whole(&captured);
    assert_eq!(summary(&captured)["Attachments"], 0);
    let id = document["Inline"][0]["PartID"].as_str().unwrap();
    let html = with_parts(document["HTML"].as_str().unwrap(), &captured);
    assert!(html.contains(&format!("src=\"/api/v1/message/12/part/{id}\"")), "{html}");
    assert!(html.contains("src='cid:other'"), "{html}");
}
