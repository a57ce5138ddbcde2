use std::sync::{Arc, Mutex};

use std::net::{IpAddr, Ipv4Addr};

use rowhouse_http::ServerSettings;
use rowhouse_http::limit::Rates;
use rowhouse_kernel::{Origin, SystemClock, SystemRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::watch;

use super::{Peer, ServerContext, SessionEnd, converse};
use crate::limit::MailLimits;
use crate::message::RawMail;
use crate::settings::MailSettings;
use crate::submission::backend::{Backend, Refused, Sender, Unknown};
use crate::submission::memory::MemoryBudget;
use crate::submission::sasl::Claimed;

const HERE: Peer = Peer { address: None, is_secure: false };
const AWAY: Peer = Peer { address: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))), is_secure: false };
const PLAIN: &str = "AUTH PLAIN AHNob3AAczNjcmV0\r\n";
const MESSAGE: &str = "DATA\r\nFrom: a@x.example\r\nSubject: s\r\n\r\nHello\r\n.\r\n";

/// Accepts `shop` with `s3cret`, and records the mails.
#[derive(Clone, Default)]
struct RecordingBackend(Arc<Mutex<Vec<RawMail>>>);

impl Backend for RecordingBackend {
    async fn check(&self, claimed: Claimed, _origin: Origin) -> Result<Option<Sender>, Unknown> {
        let is_known = claimed.name == "shop" && claimed.secret.expose() == "s3cret";
        Ok(is_known.then_some(Sender { name: claimed.name, tenant: None, key: None }))
    }

    async fn accept(&self, _sender: &Sender, mail: RawMail, _origin: Origin) -> Result<i64, Refused> {
        if mail.mime.ends_with(b"refuse\r\n") {
            return Err(Refused::Message("bad\r\n250 good".to_owned()));
        }
        if mail.mime.ends_with(b"revoked\r\n") {
            return Err(Refused::Credential);
        }
        let mut kept = self.0.lock().unwrap();
        kept.push(mail);
        Ok(i64::try_from(kept.len()).unwrap())
    }
}

/// Three failed sign-ins of a name.
fn limits() -> MailLimits {
    let mail = MailSettings { signin_rate_per_5min: 3, ..MailSettings::default() };
    MailLimits::new(&mail, &ServerSettings::default(), &Rates::in_memory(Arc::new(SystemClock)))
}

fn context(backend: RecordingBackend, is_capture: bool, has_tls: bool) -> ServerContext<RecordingBackend> {
    ServerContext {
        backend,
        host: "mail.example".to_owned(),
        max_message_bytes: 2000,
        is_capture,
        has_tls,
        memory: MemoryBudget::new(1 << 20),
        limits: limits(),
        clock: Arc::new(SystemClock),
        rng: Arc::new(SystemRng),
    }
}

/// Sends `script` at once, closes its side, and returns the reply codes and the accepted mails.
async fn talk(peer: Peer, is_capture: bool, script: &str) -> (Vec<String>, Vec<RawMail>) {
    let backend = RecordingBackend::default();
    let context = context(backend.clone(), is_capture, false);
    let (mut client, server) = duplex(64);
    let (_drain, draining) = watch::channel(false);
    let talking = async {
        let (mut reader, mut writer) = tokio::io::split(&mut client);
        let mut answers = String::new();
        let writing = async {
            let _refused = writer.write_all(script.as_bytes()).await;
            let _refused = writer.shutdown().await;
        };
        let (_, read) = tokio::join!(writing, reader.read_to_string(&mut answers));
        read.unwrap();
        answers
    };
    let serving = async {
        let _closed = converse(&context, server, peer, true, draining).await;
    };
    let (answers, ()) = tokio::join!(talking, serving);
    let codes = answers.lines().map(|line| line.chars().take(9).collect::<String>().trim().to_owned());
    let mails = backend.0.lock().unwrap().clone();
    (codes.collect(), mails)
}

/// The codes after the greeting and EHLO.
async fn answers(peer: Peer, is_capture: bool, script: &str) -> Vec<String> {
    let (codes, _) = talk(peer, is_capture, &format!("EHLO me\r\n{script}")).await;
    let after = codes.iter().position(|code| code.starts_with("250 ENHAN")).unwrap();
    codes[after + 1..].to_vec()
}

#[tokio::test]
async fn pipelined_message_is_taken_with_its_envelope_and_answered_to_the_end() {
    let script = format!(
        "EHLO me\r\n{PLAIN}MAIL FROM:<a@x.example> SIZE=100 BODY=8BITMIME\r\nRCPT TO:<b@y.example>\r\nRCPT TO:<c@y.example>\r\n{MESSAGE}QUIT\r\n"
    );
    let (codes, mails) = talk(AWAY, false, &script).await;
    let expected = [
        "220 mail.",
        "250-mail.",
        "250-PIPEL",
        "250-8BITM",
        "250-AUTH",
        "250-SIZE",
        "250 ENHAN",
        "235 2.7.0",
        "250 2.1.0",
        "250 2.1.5",
        "250 2.1.5",
        "354 End w",
        "250 2.0.0",
        "221 2.0.0",
    ];
    assert_eq!(codes, expected);
    let [mail] = &mails[..] else { panic!("{mails:?}") };
    assert_eq!(mail.from.as_ref().unwrap().to_string(), "a@x.example");
    assert_eq!(mail.to.iter().map(ToString::to_string).collect::<Vec<_>>(), ["b@y.example", "c@y.example"]);
    let mime = String::from_utf8(mail.mime.clone()).unwrap();
    let (trace, rest) = mime.split_once("\r\n").unwrap();
    assert!(trace.starts_with("Received: by mail.example with ESMTPA id "), "{trace}");
    assert!(trace.contains(mail.request_id.as_deref().unwrap()), "{trace}");
    assert_eq!(rest, "From: a@x.example\r\nSubject: s\r\n\r\nHello\r\n");
}

#[tokio::test]
async fn unauthenticated_client_sends_nothing_unless_captured_on_loopback() {
    let script = format!("MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n{MESSAGE}");
    for (peer, is_capture) in [(AWAY, false), (HERE, false), (AWAY, true)] {
        let codes = answers(peer, is_capture, &script).await;
        assert_eq!(codes[..3], ["530 5.7.0", "530 5.7.0", "530 5.7.0"], "{peer:?} {is_capture}");
    }
    assert_eq!(answers(HERE, true, &script).await, ["250 2.1.0", "250 2.1.5", "354 End w", "250 2.0.0"]);
}

#[tokio::test]
async fn right_credentials_sign_in_and_wrong_ones_do_not() {
    for (script, expected) in [
        ("AUTH PLAIN AHNob3AAd3Jvbmc=\r\n", vec!["535 5.7.8"]),
        ("AUTH PLAIN\r\nAHNob3AAczNjcmV0\r\n", vec!["334", "235 2.7.0"]),
        ("AUTH LOGIN\r\nc2hvcA==\r\nczNjcmV0\r\n", vec!["334 VXNlc", "334 UGFzc", "235 2.7.0"]),
        ("AUTH LOGIN c2hvcA==\r\nczNjcmV0\r\n", vec!["334 UGFzc", "235 2.7.0"]),
        ("AUTH LOGIN\r\n*\r\n", vec!["334 VXNlc", "501 5.7.0"]),
        ("AUTH PLAIN %%%\r\n", vec!["501 5.5.2"]),
        ("AUTH CRAM-MD5\r\n", vec!["504 5.5.4"]),
    ] {
        assert_eq!(answers(AWAY, false, script).await, expected, "{script}");
    }
    let twice = format!("{PLAIN}{PLAIN}");
    assert_eq!(answers(AWAY, false, &twice).await, ["235 2.7.0", "503 5.5.1"]);
}

#[tokio::test]
async fn auth_is_not_offered_before_starttls() {
    let context = context(RecordingBackend::default(), false, true);
    let (mut client, server) = duplex(4096);
    let (_drain, draining) = watch::channel(false);
    client.write_all(format!("EHLO me\r\n{PLAIN}STARTTLS\r\n").as_bytes()).await.unwrap();
    let SessionEnd::Tls(_) = converse(&context, server, AWAY, true, draining).await else { panic!("no TLS") };
    let said = read_all(client).await;
    assert!(said.contains("250-STARTTLS") && !said.contains("250-AUTH"), "{said}");
    assert!(said.contains("538 5.7.11") && said.ends_with("220 2.0.0 Ready to start TLS\r\n"), "{said}");
}

#[tokio::test]
async fn commands_sent_along_with_starttls_end_the_session() {
    let context = context(RecordingBackend::default(), false, true);
    let (mut client, server) = duplex(4096);
    let (_drain, draining) = watch::channel(false);
    client.write_all(b"EHLO me\r\nSTARTTLS\r\nMAIL FROM:<evil@x.example>\r\n").await.unwrap();
    assert!(matches!(converse(&context, server, AWAY, true, draining).await, SessionEnd::Closed));
    assert!(read_all(client).await.contains("501 5.5.1"));
}

async fn read_all(mut client: DuplexStream) -> String {
    let mut said = String::new();
    client.shutdown().await.unwrap();
    client.read_to_string(&mut said).await.unwrap();
    said
}

#[tokio::test]
async fn commands_out_of_order_are_refused() {
    for (script, expected) in [
        ("RCPT TO:<b@y.example>\r\n", vec!["503 5.5.1"]),
        ("DATA\r\n", vec!["503 5.5.1"]),
        ("MAIL FROM:<a@x.example>\r\nDATA\r\n", vec!["250 2.1.0", "503 5.5.1"]),
        ("MAIL FROM:<a@x.example>\r\nMAIL FROM:<a@x.example>\r\n", vec!["250 2.1.0", "503 5.5.1"]),
        (
            "MAIL FROM:<a@x.example>\r\nRSET\r\nRCPT TO:<b@y.example>\r\n",
            vec!["250 2.1.0", "250 2.0.0", "503 5.5.1"],
        ),
        (
            "STARTTLS\r\nBDAT 3\r\nEXPN x\r\nVRFY x\r\nNOOP\r\nWHAT\r\n",
            vec!["502 5.5.1", "502 5.5.1", "502 5.5.1", "252 2.1.5", "250 2.0.0", "500 5.5.1"],
        ),
    ] {
        assert_eq!(answers(HERE, true, script).await, expected, "{script}");
    }
    let (codes, _) = talk(HERE, true, "MAIL FROM:<a@x.example>\r\n").await;
    assert_eq!(codes, ["220 mail.", "503 5.5.1"]);
}

#[tokio::test]
async fn invalid_address_and_unoffered_parameter_are_refused() {
    for (script, expected) in [
        ("MAIL FROM:<nobody>\r\n", "553 5.1.7"),
        ("MAIL FROM:<a@x.example> SIZE=9999999\r\n", "552 5.3.4"),
        ("MAIL FROM:<z\u{fc}@x.example>\r\n", "553 5.1.7"),
        ("MAIL FROM:<a@x.example> SMTPUTF8\r\n", "555 5.5.4"),
        ("MAIL FROM:<a@x.example> BODY=BINARYMIME\r\n", "555 5.5.4"),
        ("MAIL FROM:<a@x.example> WHAT=1\r\n", "555 5.5.4"),
        ("MAIL FROM:<a@x.example> RET=HDRS\r\n", "555 5.5.4"),
        ("MAIL FROM:<a@x.example> ENVID=x\r\n", "555 5.5.4"),
        ("MAIL FROM:<a@x.example> HOLDFOR=60\r\n", "555 5.5.4"),
        ("MAIL FROM:<a@x.example> AUTH=<>\r\n", "250 2.1.0"),
        ("MAIL FROM:<a@x.example\0>\r\n", "500 5.5.2"),
        ("MAIL FROM:<\"a\rb\"@x.example>\r\n", "500 5.5.2"),
    ] {
        assert_eq!(answers(HERE, true, script).await, [expected], "{script}");
    }
    for parameter in ["NOTIFY=SUCCESS", "NOTIFY=NEVER", "ORCPT=rfc822;b@y.example", "WHAT=1"] {
        let codes =
            answers(HERE, true, &format!("MAIL FROM:<>\r\nRCPT TO:<b@y.example> {parameter}\r\n")).await;
        assert_eq!(codes, ["250 2.1.0", "555 5.5.4"], "{parameter}");
    }
    for address in ["<>", "<Postmaster>", "<b@>", "b@y.example", "<\"b>c\"@y.example>"] {
        let script = format!("MAIL FROM:<>\r\nRCPT TO:{address}\r\n");
        let codes = answers(HERE, true, &script).await;
        assert!(codes[0] == "250 2.1.0" && codes[1].starts_with('5'), "{address}: {codes:?}");
    }
}

#[tokio::test]
async fn recipients_over_the_limit_are_refused_and_the_session_continues() {
    let recipients = "RCPT TO:<b@y.example>\r\n".repeat(3000);
    let script = format!("MAIL FROM:<a@x.example>\r\n{recipients}{MESSAGE}NOOP\r\n");
    let codes = answers(HERE, true, &script).await;
    let count = |code| codes.iter().filter(|other| **other == code).count();
    assert_eq!((count("250 2.1.5"), count("452 4.5.3")), (50, 2950));
    assert_eq!(codes[codes.len() - 3..], ["354 End w", "250 2.0.0", "250 2.0.0"]);
}

#[tokio::test]
async fn number_of_commands_and_errors_of_a_session_is_bounded() {
    let codes = answers(HERE, true, &"NOOP\r\n".repeat(25_000)).await;
    assert_eq!((codes.len(), codes.last().unwrap().as_str()), (20_000, "421 4.7.0"));
    let codes = answers(HERE, true, &"WHAT\r\n".repeat(100)).await;
    assert_eq!((codes.len(), codes.last().unwrap().as_str()), (22, "421 4.7.0"));
    let codes = answers(HERE, true, &"x".repeat(100_000)).await;
    assert_eq!(codes, ["500 5.5.2"]);
    let codes = answers(HERE, true, "NOOP\nNOOP\r\n").await;
    assert_eq!(codes, ["500 5.5.2"]);
}

#[tokio::test]
async fn refused_message_leaves_the_session_usable() {
    let envelope = "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n";
    let long = "x".repeat(5000);
    for (body, expected) in [
        ("a\n.\nMAIL FROM:<evil@x.example>\r\n.\r\n", "554 5.6.0"),
        (&format!("{long}\r\n.\r\n"), "554 5.6.0"),
        (&format!("{}.\r\n", "y: z\r\n".repeat(500)), "552 5.3.4"),
        ("a: b\r\n\r\nrefuse\r\n.\r\n", "554 5.6.0"),
        ("no header here: x\r\n.\r\n", "554 5.6.0"),
        (".\r\n", "554 5.6.0"),
    ] {
        let script = format!("{envelope}DATA\r\n{body}{envelope}{MESSAGE}");
        let codes = answers(HERE, true, &script).await;
        assert_eq!(codes[2..4], ["354 End w", expected], "{body:.40}");
        assert_eq!(codes[4..], ["250 2.1.0", "250 2.1.5", "354 End w", "250 2.0.0"], "{body:.40}");
    }
}

#[tokio::test(start_paused = true)]
async fn slow_sign_in_and_slow_data_time_out() {
    for (is_capture, said) in [
        (false, "EHLO me\r\nMAIL"),
        (true, "EHLO me\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\nFrom:"),
    ] {
        let context = context(RecordingBackend::default(), is_capture, false);
        let (mut client, server) = duplex(4096);
        let (_drain, draining) = watch::channel(false);
        client.write_all(said.as_bytes()).await.unwrap();
        let begun = tokio::time::Instant::now();
        let _closed = converse(&context, server, HERE, true, draining).await;
        assert_eq!(begun.elapsed().as_secs(), 60, "{said}");
        assert!(read_all(client).await.contains("421 4.4.2"), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn idle_session_and_endless_message_time_out() {
    let context = context(RecordingBackend::default(), true, false);
    let (_drain, draining) = watch::channel(false);
    let (mut client, server) = duplex(4096);
    client.write_all(b"EHLO me\r\n").await.unwrap();
    let begun = tokio::time::Instant::now();
    let _closed = converse(&context, server, HERE, true, draining.clone()).await;
    assert_eq!(begun.elapsed().as_secs(), 300, "between commands");
    assert!(read_all(client).await.contains("421 4.4.2"));

    let (mut client, server) = duplex(4096);
    let opening = "EHLO me\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n";
    client.write_all(opening.as_bytes()).await.unwrap();
    let begun = tokio::time::Instant::now();
    let drip = async {
        let mut tick = tokio::time::interval(std::time::Duration::from_secs(50));
        for _ in 0..100 {
            tick.tick().await;
            client.write_all(b"X: y\r\n").await.unwrap();
        }
    };
    tokio::select! {
        () = drip => panic!("all of it was taken"),
        _closed = converse(&context, server, HERE, true, draining) => {}
    }
    assert_eq!(begun.elapsed().as_secs(), 600, "a whole message");
    assert!(read_all(client).await.contains("421 4.4.2"));
}

#[tokio::test]
async fn headers_beyond_255_kib_are_refused_and_a_body_of_that_size_is_not() {
    let backend = RecordingBackend::default();
    let context = ServerContext { max_message_bytes: 1 << 20, ..context(backend.clone(), true, false) };
    let line = "X-Filler: 0123456789012345678901234567890123456789012345678901234567890\r\n";
    let filler = line.repeat(256 * 1024 / line.len() + 1);
    for (message, expected) in [
        (format!("From: a@x.example\r\n{filler}\r\nHello\r\n.\r\n"), "552 5.3.4"),
        (format!("From: a@x.example\r\n\r\n{filler}.\r\n"), "250 2.0.0"),
    ] {
        let (mut client, server) = duplex(1 << 20);
        let (_drain, draining) = watch::channel(false);
        let opening = "EHLO me\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n";
        client.write_all(format!("{opening}{message}QUIT\r\n").as_bytes()).await.unwrap();
        let _closed = converse(&context, server, HERE, true, draining).await;
        let said = read_all(client).await;
        let code = said.lines().rev().nth(1).map(|line| &line[..9]);
        assert_eq!(code, Some(expected), "{said}");
    }
}

#[tokio::test]
async fn session_of_a_revoked_credential_ends() {
    let message = "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\nFrom: a@x.example\r\n\r\nrevoked\r\n.\r\n";
    let codes = answers(AWAY, false, &format!("{PLAIN}{message}NOOP\r\n")).await;
    assert_eq!(codes, ["235 2.7.0", "250 2.1.0", "250 2.1.5", "354 End w", "421 4.7.0"]);
}

#[tokio::test]
async fn session_is_notified_of_shutdown() {
    let context = context(RecordingBackend::default(), true, false);
    let (client, server) = duplex(4096);
    let (drain, draining) = watch::channel(false);
    drain.send(true).unwrap();
    let _closed = converse(&context, server, HERE, true, draining).await;
    assert!(read_all(client).await.contains("421 4.3.2"));
}

/// Base64 of NUL, shop, NUL, guess.
const WRONG: &str = "AUTH PLAIN AHNob3AAZ3Vlc3M=\r\n";

#[tokio::test]
async fn name_that_failed_too_often_from_an_address_is_not_asked_for_there() {
    let script = format!("{}{PLAIN}", WRONG.repeat(3));
    assert_eq!(answers(AWAY, false, &script).await, ["535 5.7.8", "535 5.7.8", "535 5.7.8", "421 4.7.0"]);
    let twice = format!("{}{PLAIN}", WRONG.repeat(2));
    assert_eq!(answers(AWAY, false, &twice).await, ["535 5.7.8", "535 5.7.8", "235 2.7.0"]);
}
