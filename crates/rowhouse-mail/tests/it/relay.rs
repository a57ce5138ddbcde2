//! The SMTP client: encryption, authentication, missing extensions, lost connections.

use std::time::Duration;

use rowhouse_jobs::JobError;
use rowhouse_kernel::Secret;
use rowhouse_mail::{MailSettings, RelayTls};
use rowhouse_testkit::until_true;

use crate::deliver::{events, header, state};
use crate::peer::Peer;
use crate::support::TestMail;

#[tokio::test]
async fn mail_reaches_a_relay_with_starttls_and_auth() {
    let mut peer = Peer::safe().await;
    let post = TestMail::new(peer.settings()).await;
    let accepted = post.send("Ada <ada@b.example>").await;
    assert_eq!(post.deliver(accepted.recipients[0].0).await, Ok(None));
    let got = peer.next().await;
    assert_eq!((&got["tls"], &got["user"]), (&true.into(), &"user".into()));
    assert_eq!((&got["from"], &got["to"][0]), (&"noreply@localhost".into(), &"ada@b.example".into()));
    assert_eq!(header(got["mime"].as_str().unwrap(), "message-id"), format!("<{}>", accepted.message_id));
    let (state, attempts, reply) = state(&post.client, accepted.recipients[0].0).await;
    assert_eq!((state.as_str(), attempts, reply.as_str()), ("sent", 1, "250 2.0.0 taken"));
    assert_eq!(events(&post.client, accepted.recipients[0].0).await, ["sent"]);
}

#[tokio::test]
async fn mail_reaches_a_relay_with_implicit_tls() {
    let mut peer = Peer::implicit().await;
    let post = TestMail::new(peer.settings()).await;
    let accepted = post.send("ada@b.example").await;
    assert_eq!(post.deliver(accepted.recipients[0].0).await, Ok(None));
    let got = peer.next().await;
    assert_eq!((&got["tls"], &got["user"]), (&true.into(), &"user".into()));
    assert_eq!(state(&post.client, accepted.recipients[0].0).await.0, "sent");
}

#[tokio::test]
async fn password_is_not_sent_without_encryption() {
    let peer = Peer::plain().await;
    let password = Some(Secret::new("right"));
    let relay_user = Some("user".to_owned());
    for relay_tls in [RelayTls::Starttls, RelayTls::Implicit] {
        let settings = MailSettings {
            relay_tls,
            relay_user: relay_user.clone(),
            relay_password: password.clone(),
            ..peer.settings()
        };
        let post = TestMail::new(settings).await;
        let accepted = post.send("ada@b.example").await;
        let Err(JobError::RetryAfter(..)) = post.deliver(accepted.recipients[0].0).await else { panic!() };
        assert_eq!(state(&post.client, accepted.recipients[0].0).await.0, "delayed");
    }
}

#[tokio::test]
async fn certificate_of_another_host_is_refused() {
    for peer in [Peer::safe().await, Peer::implicit().await] {
        // The certificate is for localhost.
        let other = MailSettings { relay_host: Some("127.0.0.1".to_owned()), ..peer.settings() };
        let post = TestMail::new(other).await;
        let accepted = post.send("ada@b.example").await;
        let recipient = accepted.recipients[0].0;
        let Err(JobError::RetryAfter(_, why)) = post.deliver(recipient).await else { panic!() };
        assert!(why.contains("certificate"), "{why}");
        assert_eq!(state(&post.client, recipient).await.1, 0, "no fault of the mail");
    }
}

#[tokio::test]
async fn wrong_relay_password_counts_no_attempt() {
    let peer = Peer::safe().await;
    let wrong = MailSettings { relay_password: Some(Secret::new("wrong")), ..peer.settings() };
    let post = TestMail::new(wrong).await;
    let accepted = post.send("ada@b.example").await;
    let Err(JobError::RetryAfter(_, why)) = post.deliver(accepted.recipients[0].0).await else { panic!() };
    assert!(why.starts_with("535"), "{why}");
    let (state, attempts, _) = state(&post.client, accepted.recipients[0].0).await;
    assert_eq!((state.as_str(), attempts), ("delayed", 0));
}

#[tokio::test]
async fn certificate_of_an_unknown_authority_is_refused() {
    let peer = Peer::safe().await;
    let post = TestMail::new(MailSettings { relay_ca_file: None, ..peer.settings() }).await;
    let accepted = post.send("ada@b.example").await;
    let Err(JobError::RetryAfter(_, why)) = post.deliver(accepted.recipients[0].0).await else { panic!() };
    assert!(why.contains("certificate"), "{why}");
}

#[tokio::test]
async fn address_that_the_relay_cannot_take_does_not_delay_other_mails() {
    let mut peer = Peer::ascii().await;
    let post = TestMail::new(peer.settings()).await;
    let foreign = post.send("grüße@b.example").await.recipients[0].0;
    assert_eq!(post.deliver(foreign).await, Ok(None));
    let (state, attempts, reply) = state(&post.client, foreign).await;
    assert_eq!((state.as_str(), attempts), ("failed", 1), "{reply}");
    assert!(reply.contains("SMTPUTF8"), "{reply}");
    let recipient = post.send("ada@b.example").await.recipients[0].0;
    assert_eq!(post.deliver(recipient).await, Ok(None));
    assert_eq!(peer.next().await["to"][0], "ada@b.example");
}

#[tokio::test]
async fn refusal_without_enhanced_code_suppresses_no_address() {
    let peer = Peer::plain().await;
    let post = TestMail::new(peer.settings()).await;
    for _ in 0..2 {
        let accepted = post.send("bare@b.example").await;
        assert_eq!(post.deliver(accepted.recipients[0].0).await, Ok(None));
        assert_eq!(state(&post.client, accepted.recipients[0].0).await.0, "failed");
    }
}

#[tokio::test]
async fn internationalized_domain_is_sent_in_ascii_form() {
    let mut peer = Peer::ascii().await;
    let post = TestMail::new(peer.settings()).await;
    let recipient = post.send("ada@bücher.example").await.recipients[0].0;
    assert_eq!(post.deliver(recipient).await, Ok(None));
    let got = peer.next().await;
    assert_eq!(got["to"][0], "ada@xn--bcher-kva.example");
    assert_eq!(header(got["mime"].as_str().unwrap(), "to"), "ada@xn--bcher-kva.example");
    assert_eq!(state(&post.client, recipient).await.0, "sent");
}

#[tokio::test]
async fn connection_of_a_dropped_session_is_not_reused() {
    let mut peer = Peer::plain().await;
    let settings =
        MailSettings { relay_timeout: Duration::from_secs(2), relay_connections: 1, ..peer.settings() };
    let post = TestMail::new(settings).await;
    let silent = post.send("silent@b.example").await.recipients[0].0;
    let spam = post.send("spam@b.example").await.recipients[0].0;
    let ada = post.send("ada@b.example").await.recipients[0].0;
    assert_eq!(post.deliver(ada).await, Ok(None), "its connection is kept");
    assert!(matches!(post.deliver(silent).await, Err(JobError::RetryAfter(..))));
    assert_eq!(post.deliver(spam).await, Ok(None));
    assert_eq!(state(&post.client, spam).await.2, "550 5.7.1 refused as spam");
    // Cancelled in the middle of the SMTP session.
    let cut = async {
        let begun = format!("exists (select from mail.recipients where id = {silent} and state = 'sending')");
        until_true(&post.db.superuser().await, &begun).await;
        let _in_the_middle =
            tokio::time::timeout(Duration::from_millis(100), std::future::pending::<()>()).await;
    };
    tokio::select! {
        ended = post.deliver(silent) => panic!("{ended:?}"),
        () = cut => {}
    }
    let bob = post.send("bob@b.example").await.recipients[0].0;
    assert_eq!(post.deliver(bob).await, Ok(None));
    assert_eq!(state(&post.client, bob).await.2, "250 2.0.0 taken");
    assert_eq!(peer.next().await["to"][0], "ada@b.example");
    assert_eq!(peer.next().await["to"][0], "bob@b.example");
}
