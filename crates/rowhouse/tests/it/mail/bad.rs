//! Malformed mails to the real program over HTTP and SMTP: a clear refusal, nothing stored, and the next mail is
//! delivered.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rowhouse_testkit::LIMIT;
use serde_json::{Value, json};

use crate::program::{Folder, Up, free_port};

const ATTACHMENT: usize = 30 * 1024 * 1024;
/// The line break that would begin another header or command.
const BREAK: &str = "\r\nBcc: eve@evil.example";

/// A program that delivers into `mails` below the folder.
fn start() -> (Folder, Up) {
    let folder = Folder::empty();
    let mails = folder.path().join("mails");
    let settings = format!("[mail]\ntransport = \"file\"\nfile_folder = \"{}\"\n", mails.display());
    std::fs::write(folder.path().join("rowhouse.toml"), settings).unwrap();
    let up = Up::start(&folder, free_port());
    (folder, up)
}

/// Sends a valid mail after the refused ones: it is the only one stored, and it is delivered.
fn require_well(folder: &Folder) {
    let test = folder.run(&["mail", "test", "ada@shop.example", "--json"]);
    assert_eq!(test.code, 0, "{test:?}");
    let list = folder.run(&["mail", "list", "--json"]).document();
    assert_eq!(list["mails"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(std::fs::read_dir(folder.path().join("mails")).unwrap().count(), 1);
}

async fn post(up: &Up, mail: &Value) -> (u16, Value) {
    let request = reqwest::Client::new().post(format!("{}/mail/v1/send", up.text("url")));
    let answer =
        request.bearer_auth(up.text("service_role_key")).body(mail.to_string()).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn line_breaks_over_http_are_refused_by_the_name_of_their_field() {
    let (folder, up) = start();
    let broken = |text: &str| format!("{text}{BREAK}");
    for (field, value) in [
        ("to", json!(broken("ada@shop.example"))),
        ("to", json!([broken("Ada <ada@shop.example>")])),
        ("to", json!(format!("Ada{BREAK} <ada@shop.example>"))),
        ("cc", json!(broken("ada@shop.example"))),
        ("bcc", json!(["ada@shop.example", "\"a\r\n\"@shop.example"])),
        ("from", json!(broken("shop@shop.example"))),
        ("reply_to", json!(broken("shop@shop.example"))),
        ("subject", json!(broken("Hello"))),
        ("subject", json!("Hello\nBcc: eve@evil.example")),
        ("subject", json!("Hello\rthere")),
        ("headers", json!({ "X-Order": broken("7") })),
        ("headers", json!({ "X-Order: 7\r\nBcc": "eve@evil.example" })),
        ("headers", json!({ "Bcc": "eve@evil.example" })),
        ("attachments", json!([{ "name": broken("a.txt"), "content": "QQ==" }])),
        (
            "attachments",
            json!([{ "name": "a.txt", "content_type": broken("text/plain"), "content": "QQ==" }]),
        ),
        ("tag", json!(broken("order"))),
        ("idempotency_key", json!(broken("order"))),
    ] {
        let mut mail = json!({ "to": "ada@shop.example", "subject": "Hello", "text": "Hello" });
        mail[field] = value;
        let (status, answer) = post(&up, &mail).await;
        let message = answer["message"].as_str().unwrap_or_default();
        assert_eq!((status, &answer["error"]), (400, &json!("invalid_mail")), "{mail}: {answer}");
        // A header is named itself.
        let words = [field.trim_end_matches('s'), "X-Order", "header"];
        assert!(words.iter().any(|word| message.contains(word)), "{field}: {message}");
        assert!(!message.contains(['\r', '\n']), "{message:?}");
    }
    require_well(&folder);
}

#[tokio::test]
async fn attachment_of_30_megabytes_over_http_is_too_large() {
    let (folder, up) = start();
    let content = STANDARD.encode(vec![7_u8; ATTACHMENT]);
    let mail = json!({
        "to": "ada@shop.example", "subject": "Large", "text": "See the file.",
        "attachments": [{ "name": "large.bin", "content": content }],
    });
    // The server may answer and close before it has read all of it.
    let request = reqwest::Client::new().post(format!("{}/mail/v1/send", up.text("url")));
    let answer = request.bearer_auth(up.text("service_role_key")).body(mail.to_string()).send().await;
    if let Ok(answer) = answer {
        assert_eq!(answer.status().as_u16(), 413);
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["error"], "too_large");
        assert!(answer["message"].as_str().unwrap().contains("mail.max_message_bytes"), "{answer}");
    }
    require_well(&folder);
}

/// A signed-in SMTP session.
struct Smtp(BufReader<TcpStream>);

impl Smtp {
    fn open(up: &Up) -> Self {
        let port = u16::try_from(up.state["smtp_port"].as_u64().unwrap()).unwrap();
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut smtp = Self(BufReader::new(stream));
        assert!(smtp.reply().starts_with("220"));
        assert!(smtp.ask("EHLO shop.example\r\n").starts_with("250"));
        let sign_in = STANDARD.encode(format!("\0service_role\0{}", up.text("service_role_key")));
        assert!(smtp.ask(&format!("AUTH PLAIN {sign_in}\r\n")).starts_with("235"));
        smtp
    }

    fn ask(&mut self, words: &str) -> String {
        self.0.get_mut().write_all(words.as_bytes()).unwrap();
        self.reply()
    }

    /// The last line; empty when the server has closed.
    fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }
}

#[test]
fn addresses_over_smtp_cannot_inject_commands_or_headers() {
    let (folder, up) = start();
    for (words, code) in [
        ("MAIL FROM:<shop@shop.example\tBcc: eve@evil.example>\r\n", "500"),
        ("MAIL FROM:<shop@shop.example> <eve@evil.example>\r\n", "5"),
        ("MAIL FROM:<\"shop>\r\nRCPT TO:<eve@evil.example>\r\n", "5"),
        // After a malformed line end the session is closed.
        ("MAIL FROM:<shop@shop.example>\nRCPT TO:<eve@evil.example>\r\n", "500"),
        ("MAIL FROM:<shop@shop.example\r>\r\n", "500"),
    ] {
        let mut smtp = Smtp::open(&up);
        let reply = smtp.ask(words);
        assert!(reply.starts_with(code), "{words:?}: {reply:?}");
    }
    let mut smtp = Smtp::open(&up);
    assert!(smtp.ask("MAIL FROM:<shop@shop.example>\r\n").starts_with("250"));
    for to in ["ada@shop.example> <eve@evil.example", "\"a b\"@shop.example", "ada@", "@shop.example", "ada"]
    {
        let reply = smtp.ask(&format!("RCPT TO:<{to}>\r\n"));
        assert!(reply.starts_with('5'), "{to}: {reply:?}");
    }
    assert!(smtp.ask("DATA\r\n").starts_with("503"), "nobody is left to get it");
    require_well(&folder);
}

#[test]
fn attachment_of_30_megabytes_over_smtp_is_refused_and_the_session_continues() {
    let (folder, up) = start();
    let mut smtp = Smtp::open(&up);
    let announced = smtp.ask(&format!("MAIL FROM:<shop@shop.example> SIZE={ATTACHMENT}\r\n"));
    assert!(announced.starts_with("552 5.3.4"), "{announced}");
    for words in ["MAIL FROM:<shop@shop.example>\r\n", "RCPT TO:<ada@shop.example>\r\n"] {
        assert!(smtp.ask(words).starts_with("250"));
    }
    assert!(smtp.ask("DATA\r\n").starts_with("354"));
    let line = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5eg==\r\n";
    let mut message = "Subject: Large\r\nContent-Transfer-Encoding: base64\r\n\r\n".to_owned();
    message.push_str(&line.repeat(ATTACHMENT / line.len() + 1));
    let reply = smtp.ask(&format!("{message}.\r\n"));
    assert!(reply.starts_with("552 5.3.4"), "{reply}");
    assert!(smtp.ask("NOOP\r\n").starts_with("250"), "the session lives");
    require_well(&folder);
}
