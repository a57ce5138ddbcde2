//! `mail test` with a relay: output and exit code agree.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;

use crate::program::{Folder, Run, Up, free_port};

/// Answers RCPT by the address's local part until the process ends.
fn relay() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || drop(converse(&stream)));
        }
    });
    port
}

fn converse(mut stream: &TcpStream) -> std::io::Result<()> {
    stream.write_all(b"220 relay\r\n")?;
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    while let Some(line) = lines.next() {
        let answer = match line.to_uppercase() {
            rcpt if rcpt.starts_with("RCPT") && rcpt.contains("<NOBODY@") => "550 5.1.1 no such user here",
            rcpt if rcpt.starts_with("RCPT") && rcpt.contains("<LATER@") => "451 4.7.1 come back in an hour",
            data if data == "DATA" => {
                stream.write_all(b"354 go on\r\n")?;
                let _message = lines.by_ref().take_while(|line| line != ".").count();
                "250 2.0.0 taken as 4711"
            }
            _ => "250 fine",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes())?;
    }
    Ok(())
}

/// The requests that arrive at a URL, whole.
fn listener() -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mail", listener.local_addr().unwrap());
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let (mut request, mut piece) = (Vec::new(), [0; 4096]);
            while !is_whole(&request) {
                let read = stream.read(&mut piece).unwrap();
                assert!(read > 0, "cut");
                request.extend_from_slice(&piece[..read]);
            }
            stream.write_all(b"HTTP/1.1 204 Fine\r\nconnection: close\r\n\r\n").unwrap();
            let _ended = sender.send(String::from_utf8(request).unwrap());
        }
    });
    (url, receiver)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    text.split_once("\r\n\r\n")
        .is_some_and(|(_, body)| serde_json::from_str::<serde_json::Value>(body).is_ok())
}

#[test]
fn outcome_is_posted_to_the_webhook_and_the_secret_is_private() {
    let (port, (url, receiver)) = (relay(), listener());
    let settings = format!(
        "[mail]\ntransport = \"relay\"\nrelay_host = \"127.0.0.1\"\nrelay_port = {port}\nrelay_tls = \"none\"\nwebhook_url = \"{url}\"\n"
    );
    let folder = Folder::with_settings(&settings);
    let up = Up::start(&folder, free_port());
    let path = folder.path().join(".rowhouse/keys/mail_webhook_secret");
    let secret = std::fs::read_to_string(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(secret.starts_with("whsec_") && secret.trim_end().len() == 50, "{secret}");
    assert_eq!(folder.run(&["mail", "test", "nobody@shop.example"]).code, 1);
    let request = receiver.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert!(head.starts_with("POST /mail ") && head.contains("webhook-signature: v1,"), "{head}");
    assert_eq!(
        (&body["type"], &body["data"]["address"]),
        (&"mail.bounced".into(), &"nobody@shop.example".into())
    );
    drop(up);
    let _up = Up::start(&folder, free_port());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), secret, "made once");
}

#[test]
fn exit_code_of_a_test_mail_follows_the_relay_s_reply() {
    let port = relay();
    let settings = format!(
        "[mail]\ntransport = \"relay\"\nrelay_host = \"127.0.0.1\"\nrelay_port = {port}\nrelay_tls = \"none\"\n"
    );
    let folder = Folder::with_settings(&settings);
    let _up = Up::start(&folder, free_port());
    let test = |address: &str| -> Run { folder.run(&["mail", "test", address]) };
    for (address, code, says) in [
        ("you@shop.example", 0, "sent to you@shop.example: 250 2.0.0 taken as 4711"),
        ("nobody@shop.example", 1, "bounced: nobody@shop.example: 550 5.1.1 no such user here"),
        (
            "later@shop.example",
            1,
            "not taken for later@shop.example, and given up: 451 4.7.1 come back in an hour",
        ),
    ] {
        let run = test(address);
        assert_eq!((run.code, run.out.trim_end()), (code, says), "{run:?}");
    }
    // A cancelled mail is not delivered later.
    let list = folder.run(&["mail", "list", "--state", "delayed", "--json"]);
    assert_eq!(list.document()["mails"], serde_json::json!([]));
}
