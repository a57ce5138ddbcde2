//! Rechecks of DNS proofs.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

use rowhouse_db::{Control, DbSettings};
use rowhouse_mail::sender::{Rechecked, recheck_all};
use rowhouse_testkit::TestDatabase;
use tokio_postgres::Client;

/// How the name server answers every query.
#[derive(Clone)]
enum Says {
    Text(&'static str),
    Nothing,
    Failure,
}

/// Answers until the process ends (RFC 1035 section 4).
fn name_server() -> (SocketAddr, Arc<Mutex<Says>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (address, says) = (socket.local_addr().unwrap(), Arc::new(Mutex::new(Says::Nothing)));
    let now = Arc::clone(&says);
    std::thread::spawn(move || {
        let mut query = [0; 1500];
        while let Ok((len, peer)) = socket.recv_from(&mut query) {
            let _gone = socket.send_to(&answer(&now.lock().unwrap().clone(), &query[..len]), peer);
        }
    });
    (address, says)
}

fn answer(says: &Says, query: &[u8]) -> Vec<u8> {
    let end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let (code, count) = match says {
        Says::Text(_) => (0, 1),
        Says::Nothing => (3, 0),
        Says::Failure => (2, 0),
    };
    let mut message = vec![query[0], query[1], 0x84, code, 0, 1, 0, count, 0, 0, 0, 0];
    message.extend_from_slice(&query[12..end]);
    if let Says::Text(text) = says {
        let len = u8::try_from(text.len()).unwrap();
        message.extend_from_slice(&[0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 0, 0, len + 1, len]);
        message.extend_from_slice(text.as_bytes());
    }
    message
}

/// Runs the recheck as the schedule does.
async fn run(client: &Client, control: &Control, server: SocketAddr) -> Rechecked {
    let sql = "update mail.senders set checked_at = checked_at - interval '6 hours', proved_at = proved_at - interval '6 hours'";
    client.batch_execute(sql).await.unwrap();
    recheck_all(control, Some(server)).await.unwrap()
}

#[tokio::test]
async fn domain_without_its_record_loses_its_proof_and_a_missing_answer_does_not_count() {
    let db = TestDatabase::create().await;
    let client = db.superuser().await;
    let control = Control::open(&db.urls.control, &DbSettings::default()).unwrap();
    let (server, says) = name_server();
    let sql = "insert into mail.senders (tenant, kind, name, token, proved_at) values \
               (gen_random_uuid(), 'domain', 'own.example', 't1', now()), \
               (gen_random_uuid(), 'domain', 'asked.example', 't1', null), \
               (gen_random_uuid(), 'address', 'a@own.example', 't1', now())";
    client.batch_execute(sql).await.unwrap();
    assert_eq!(recheck_all(&control, Some(server)).await.unwrap().checked, 0, "just proved");
    let proved = async || -> bool {
        let sql = "select proved_at is not null from mail.senders where name = 'own.example'";
        client.query_one(sql, &[]).await.unwrap().get(0)
    };
    let (one, none) = (Rechecked { checked: 1, lost: 0 }, Rechecked::default());
    // Missing twice and back: the count restarts. Failed lookups do not count.
    for now in [
        Says::Text("rowhouse-sender=t1"),
        Says::Nothing,
        Says::Nothing,
        Says::Text("rowhouse-sender=t1"),
        Says::Failure,
        Says::Failure,
        Says::Failure,
        Says::Text("rowhouse-sender=other"),
        Says::Nothing,
    ] {
        *says.lock().unwrap() = now;
        assert_eq!(run(&client, &control, server).await, one);
        assert!(proved().await);
    }
    assert_eq!(recheck_all(&control, Some(server)).await.unwrap(), none, "not due");
    assert_eq!(run(&client, &control, server).await, Rechecked { checked: 1, lost: 1 });
    assert!(!proved().await);
    assert_eq!(run(&client, &control, server).await, none);
    let address = "select proved_at is not null from mail.senders where kind = 'address'";
    assert!(client.query_one(address, &[]).await.unwrap().get::<_, bool>(0), "an address has no record");
}
