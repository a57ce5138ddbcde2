//! Clients that submit mails in sequence, over SMTP or HTTP, and record the time until each is accepted.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Where mails are submitted.
#[derive(Debug, Clone)]
pub(super) enum Endpoint {
    /// The port of SMTP submission.
    Smtp(u16),
    /// The API's URL.
    Http(String),
}

/// Submits until `end`; returns how long each mail took.
pub(super) async fn run(endpoint: Endpoint, key: String, end: Instant) -> Result<Vec<Duration>> {
    match endpoint {
        Endpoint::Smtp(port) => smtp(port, &key, end).await,
        Endpoint::Http(url) => http(&url, &key, end).await,
    }
}

/// The lines of a mail's text.
pub(super) fn text() -> String {
    "A line of a letter, as long as such lines usually are in mails.\r\n".repeat(12)
}

async fn smtp(port: u16, key: &str, end: Instant) -> Result<Vec<Duration>> {
    let mut line = BufReader::new(TcpStream::connect(("127.0.0.1", port)).await?);
    line.get_ref().set_nodelay(true)?;
    let sign_in = STANDARD.encode(format!("\0service_role\0{key}"));
    expect(&mut line, "220").await?;
    say(&mut line, "EHLO bench\r\n").await?;
    expect(&mut line, "250").await?;
    say(&mut line, &format!("AUTH PLAIN {sign_in}\r\n")).await?;
    expect(&mut line, "235").await?;
    let message = format!(
        "From: Shop <shop@x.example>\r\nTo: Ada <ada@y.example>\r\nSubject: Your order\r\n\r\n{}.\r\n",
        text()
    );
    let mut took = Vec::new();
    while Instant::now() < end {
        let begun = Instant::now();
        say(&mut line, "MAIL FROM:<shop@x.example>\r\nRCPT TO:<ada@y.example>\r\nDATA\r\n").await?;
        for code in ["250", "250", "354"] {
            expect(&mut line, code).await?;
        }
        say(&mut line, &message).await?;
        expect(&mut line, "250").await?;
        took.push(begun.elapsed());
    }
    Ok(took)
}

async fn say(line: &mut BufReader<TcpStream>, words: &str) -> Result<()> {
    Ok(line.get_mut().write_all(words.as_bytes()).await?)
}

/// Reads one reply, of one line or several.
async fn expect(line: &mut BufReader<TcpStream>, code: &str) -> Result<()> {
    loop {
        let mut answer = String::new();
        line.read_line(&mut answer).await?;
        ensure!(answer.starts_with(code), "expected {code}, got {answer:?}");
        if answer.as_bytes().get(3) != Some(&b'-') {
            return Ok(());
        }
    }
}

async fn http(url: &str, key: &str, end: Instant) -> Result<Vec<Duration>> {
    let client = reqwest::Client::new();
    let mail = json!({
        "from": "Shop <shop@x.example>", "to": "Ada <ada@y.example>", "subject": "Your order", "text": text(),
    });
    let mail = mail.to_string();
    let mut took = Vec::new();
    while Instant::now() < end {
        let begun = Instant::now();
        let request = client.post(format!("{url}/mail/v1/send")).bearer_auth(key);
        let response = request.body(mail.clone()).send().await?;
        ensure!(response.status() == 202, "{}", response.text().await?);
        let _whole = response.bytes().await?;
        took.push(begun.elapsed());
    }
    Ok(took)
}
