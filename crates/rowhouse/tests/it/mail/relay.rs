//! `mail test` where there is a relay: what it says is what the exit code says.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

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

#[test]
fn exit_code_of_a_test_mail_is_the_relay_s_answer() {
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
    // Given up is given up: it does not arrive in an hour.
    let list = folder.run(&["mail", "list", "--state", "delayed", "--json"]);
    assert_eq!(list.document()["mails"], serde_json::json!([]));
}
