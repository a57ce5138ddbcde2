use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::Connection;
use crate::transport::{Envelope, Stage, TransportError};

/// Sends one mail to a relay that sends `script` regardless of its input; returns the result and whether the
/// connection is reusable.
async fn send(script: &str) -> (Result<String, TransportError>, bool) {
    let (client, mut relay) = duplex(1 << 20);
    relay.write_all(script.as_bytes()).await.unwrap();
    relay.shutdown().await.unwrap();
    let mut connection = Connection::over(Box::new(client));
    let envelope = Envelope { from: "a@x.example".to_owned(), to: "b@y.example".to_owned() };
    let result = connection.send(&envelope, b"Subject: s\r\n\r\nx\r\n").await;
    let is_reusable = connection.is_reusable();
    drop(connection);
    let mut said = Vec::new();
    relay.read_to_end(&mut said).await.unwrap();
    assert!(said.starts_with(b"MAIL FROM:<a@x.example>\r\n"));
    (result, is_reusable)
}

fn refused(stage: Stage, code: u16, text: &str) -> Result<String, TransportError> {
    Err(TransportError::Refused { stage, code, text: text.to_owned() })
}

#[tokio::test]
async fn refusal_names_its_stage_and_leaves_the_connection_reusable() {
    for (script, expected, kept) in [
        ("250 a\r\n250 b\r\n354 c\r\n250-2.0.0\r\n250 taken\r\n", Ok("250 2.0.0 taken".to_owned()), true),
        ("550 no\r\n", refused(Stage::Sender, 550, "no"), true),
        ("250 a\r\n571 5.1.1 no\r\n", refused(Stage::Recipient, 571, "5.1.1 no"), true),
        ("250 a\r\n250 b\r\n451 no\r\n", refused(Stage::Data, 451, "no"), true),
        (
            "250 a\r\n250 b\r\n354 c\r\n554-5.7.1 no\r\n554 no\r\n",
            refused(Stage::Message, 554, "5.7.1 no no"),
            true,
        ),
        ("250 a\r\n421 bye\r\n", refused(Stage::Recipient, 421, "bye"), false),
    ] {
        assert_eq!(send(script).await, (expected, kept), "{script}");
    }
}

#[tokio::test]
async fn connection_with_an_unexpected_reply_is_not_reused() {
    for script in [
        "250 a\r\n250 b\r\n250 no 354\r\n",
        "250 a\r\n250 b\r\n354 c\r\n354 d\r\n",
        "250 a\r\n250 b\r\n354 c\r\n",
        "250 a\r\n250 b\r\n354 c\r\n250 trunc",
        "what\r\n",
        "650 a\r\n",
        "",
    ] {
        let (result, kept) = send(script).await;
        assert!(matches!(result, Err(TransportError::Broken(_))) && !kept, "{script}: {result:?}");
    }
    // A surplus reply would be taken for the reply to the next mail.
    let (result, kept) = send("250 a\r\n250 b\r\n354 c\r\n250 d\r\n250 e\r\n").await;
    assert!(result.is_ok() && !kept);
}

#[tokio::test]
async fn endless_reply_is_cut_off() {
    let (result, _) = send(&"250-a\r\n".repeat(20_000)).await;
    assert!(matches!(result, Err(TransportError::Broken(_))));
}
