//! DNS records of the sending domain, with a name server in the test.

use std::collections::HashMap;
use std::net::UdpSocket;

use serde_json::json;

use crate::program::{Folder, Run};

const SETTINGS: &str = "[mail]\nfrom = \"Shop <a@shop.example>\"\nreturn_path = \"b@bounce.shop.example\"\n";
const TXT: u8 = 16;
const MX: u8 = 15;

/// Records by name and type; a name with `None` is one that the server fails on.
type Zone = HashMap<(&'static str, u8), Option<&'static str>>;

/// Answers until the process ends.
fn name_server(zone: Zone) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut query = [0; 1500];
        while let Ok((len, peer)) = socket.recv_from(&mut query) {
            let _gone = socket.send_to(&answer(&zone, &query[..len]), peer);
        }
    });
    address
}

/// RFC 1035 section 4: header, the question again, and at most one answer.
fn answer(zone: &Zone, query: &[u8]) -> Vec<u8> {
    let (mut labels, mut at) = (Vec::new(), 12);
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    let (name, kind) = (labels.join("."), query[at + 2]);
    let found =
        zone.iter().find(|((of, as_kind), _)| *of == name && *as_kind == kind).map(|(_, value)| *value);
    let (code, count) = match found {
        Some(Some(_)) => (0, 1),
        Some(None) => (2, 0),
        None => (3, 0),
    };
    let mut message = vec![query[0], query[1], 0x84, code, 0, 1, 0, count, 0, 0, 0, 0];
    message.extend_from_slice(&query[12..at + 5]);
    if let Some(Some(text)) = found {
        let data = match kind {
            TXT => [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat(),
            _ => {
                let labels = text
                    .split('.')
                    .map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat());
                [vec![0, 10], labels.collect::<Vec<_>>().concat(), vec![0]].concat()
            }
        };
        message.extend_from_slice(&[
            0xc0,
            12,
            0,
            kind,
            0,
            1,
            0,
            0,
            0,
            60,
            0,
            u8::try_from(data.len()).unwrap(),
        ]);
        message.extend(data);
    }
    message
}

fn check(zone: &[((&'static str, u8), Option<&'static str>)]) -> Run {
    let server = name_server(zone.iter().copied().collect());
    Folder::with_settings(SETTINGS).run(&["mail", "dns", "--check", "--server", &server, "--json"])
}

const SPF: ((&str, u8), Option<&str>) =
    (("bounce.shop.example", TXT), Some("v=spf1 include:relay.example ~all"));
const DMARC: ((&str, u8), Option<&str>) = (("_dmarc.shop.example", TXT), Some("v=DMARC1; p=reject"));
const BOUNCES: ((&str, u8), Option<&str>) = (("bounce.shop.example", MX), Some("mx.shop.example"));

#[test]
fn records_are_printed_without_dns_queries() {
    let run = Folder::with_settings(SETTINGS).run(&["mail", "dns"]);
    assert_eq!(run.code, 0, "{run:?}");
    for line in [
        "bounce.shop.example TXT v=spf1 ",
        "_dmarc.shop.example TXT v=DMARC1; p=",
        "bounce.shop.example MX ",
        "note: mails are not signed",
    ] {
        assert!(run.out.contains(line), "{line}: {run:?}");
    }
    let run = Folder::with_settings("").run(&["mail", "dns"]);
    assert!(run.code == 2 && run.err.contains("mail.from: localhost"), "{run:?}");
}

#[test]
fn exit_code_is_0_only_if_every_record_is_good() {
    let run = check(&[SPF, DMARC, BOUNCES]);
    assert_eq!(run.code, 0, "{run:?}");
    let states = |run: &Run| -> Vec<serde_json::Value> {
        run.document()["records"].as_array().unwrap().iter().map(|record| record["state"].clone()).collect()
    };
    assert_eq!(states(&run), [json!("good"), json!("good"), json!("good")]);
    let run = check(&[SPF, BOUNCES]);
    assert_eq!((run.code, states(&run)), (1, vec![json!("good"), json!("missing"), json!("good")]));
    let run = check(&[(SPF.0, Some("v=spf1 -all")), DMARC, BOUNCES]);
    assert_eq!((run.code, states(&run)), (1, vec![json!("wrong"), json!("good"), json!("good")]));
}

#[test]
fn failed_dns_query_is_neither_good_nor_missing() {
    let run = check(&[SPF, (DMARC.0, None), BOUNCES]);
    assert_eq!((run.code, run.err.lines().count()), (2, 1), "{run:?}");
    assert!(run.err.contains("TXT _dmarc.shop.example: unknown, could not be asked"), "{run:?}");
    // A missing record decides, whatever else is unknown.
    let run = check(&[(DMARC.0, None), BOUNCES]);
    let states =
        run.document()["records"].as_array().unwrap().iter().map(|r| r["state"].clone()).collect::<Vec<_>>();
    assert_eq!((run.code, states), (1, vec![json!("missing"), json!("unknown"), json!("good")]));
}
