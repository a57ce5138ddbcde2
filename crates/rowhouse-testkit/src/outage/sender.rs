//! Submits mails at a steady pace, alternately over SMTP and HTTP, and repeats each until it is accepted.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::ledger::{Ledger, subject};
use crate::program::Access;

/// Concurrent submissions.
const AT_ONCE: u32 = 4;
/// Pause before a submission is repeated.
const AGAIN: Duration = Duration::from_millis(50);
/// Timeout of an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where mails are submitted.
#[derive(Debug, Clone)]
pub(super) struct Endpoints {
    pub(super) access: Access,
    pub(super) smtp_port: u16,
}

/// The result of a submission.
enum SubmissionResult {
    Accepted,
    Refused,
    /// Sent completely, without an answer.
    None,
}

/// Submits `mails`, one every `pace`, until all are accepted.
pub(super) async fn send(
    endpoints: Endpoints,
    mails: std::ops::Range<u32>,
    pace: Duration,
    ledger: Arc<Ledger>,
) -> Result<()> {
    let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
    let begun = tokio::time::Instant::now();
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..AT_ONCE {
        let (endpoints, client, ledger, first) =
            (endpoints.clone(), client.clone(), Arc::clone(&ledger), mails.start);
        let own = mails.clone().skip(sender as usize).step_by(AT_ONCE as usize);
        senders.spawn(async move {
            for mail in own {
                tokio::time::sleep_until(begun + pace * (mail - first)).await;
                send_until_accepted(&endpoints, &client, mail, &ledger).await;
            }
        });
    }
    while let Some(ended) = senders.join_next().await {
        ended?;
    }
    Ok(())
}

async fn send_until_accepted(endpoints: &Endpoints, client: &reqwest::Client, mail: u32, ledger: &Ledger) {
    loop {
        let answer = if mail.is_multiple_of(2) {
            smtp(endpoints, mail).await
        } else {
            http(endpoints, client, mail).await
        };
        match answer {
            Ok(SubmissionResult::Accepted) => {
                return ledger.note(|entries| {
                    entries.accepted.insert(mail);
                });
            }
            Ok(SubmissionResult::None) => ledger.note(|entries| {
                entries.unanswered.insert(mail);
            }),
            Ok(SubmissionResult::Refused) => ledger.note(|entries| entries.refused += 1),
            Err(error) => return ledger.stumbled(&error.context(format!("mail {mail}"))),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn http(endpoints: &Endpoints, client: &reqwest::Client, mail: u32) -> Result<SubmissionResult> {
    let document = json!({
        "to": format!("reader-{mail}@sink.example"),
        "subject": subject(mail),
        "text": "Sent while the relay was away.",
        "idempotency_key": subject(mail),
    });
    let request = client
        .post(format!("{}/mail/v1/send", endpoints.access.url))
        .bearer_auth(&endpoints.access.service_key);
    // With an idempotency key a repetition is the same mail, so that a missing answer counts as refused.
    let Ok(response) = request.body(document.to_string()).send().await else {
        return Ok(SubmissionResult::Refused);
    };
    match response.status().as_u16() {
        202 => Ok(SubmissionResult::Accepted),
        503 | 504 => Ok(SubmissionResult::Refused),
        status => bail!("{status} {}", response.text().await?),
    }
}

/// An SMTP session for each mail.
async fn smtp(endpoints: &Endpoints, mail: u32) -> Result<SubmissionResult> {
    let said = tokio::time::timeout(TIMEOUT, converse(endpoints, mail)).await;
    // After a timeout the step is unknown.
    said.unwrap_or(Ok(SubmissionResult::None))
}

async fn converse(endpoints: &Endpoints, mail: u32) -> Result<SubmissionResult> {
    let Ok(stream) = TcpStream::connect(("127.0.0.1", endpoints.smtp_port)).await else {
        return Ok(SubmissionResult::Refused);
    };
    let mut line = BufReader::new(stream);
    let sign_in = STANDARD.encode(format!("\0service_role\0{}", endpoints.access.service_key));
    let to = format!("RCPT TO:<reader-{mail}@sink.example>\r\n");
    let steps = [
        ("", "220"),
        ("EHLO shop.example\r\n", "250"),
        (&*format!("AUTH PLAIN {sign_in}\r\n"), "235"),
        ("MAIL FROM:<shop@shop.example>\r\n", "250"),
        (&*to, "250"),
        ("DATA\r\n", "354"),
    ];
    for (words, code) in steps {
        match ask(&mut line, words).await {
            Ok(reply) if reply.starts_with(code) => {}
            Ok(reply) if reply.is_empty() || reply.starts_with('4') => return Ok(SubmissionResult::Refused),
            Ok(reply) => bail!("{words:?} was answered by {reply:?}"),
            Err(_) => return Ok(SubmissionResult::Refused),
        }
    }
    let message = format!(
        "Message-ID: <{mail}@shop.example>\r\nFrom: shop@shop.example\r\nSubject: {}\r\n\r\nSent while the relay was away.\r\n.\r\n",
        subject(mail)
    );
    match ask(&mut line, &message).await {
        Ok(reply) if reply.starts_with("250") => Ok(SubmissionResult::Accepted),
        Ok(reply) if reply.starts_with('4') => Ok(SubmissionResult::Refused),
        Ok(reply) if reply.is_empty() => Ok(SubmissionResult::None),
        Ok(reply) => bail!("the message was answered by {reply:?}"),
        Err(_) => Ok(SubmissionResult::None),
    }
}

/// The last line of the reply; empty if the connection was closed.
async fn ask(line: &mut BufReader<TcpStream>, words: &str) -> Result<String> {
    line.get_mut().write_all(words.as_bytes()).await?;
    loop {
        let mut reply = String::new();
        line.read_line(&mut reply).await.context("the reply")?;
        ensure!(reply.is_empty() || reply.len() > 3, "{reply:?}");
        if reply.as_bytes().get(3) != Some(&b'-') {
            return Ok(reply);
        }
    }
}
