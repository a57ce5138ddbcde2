//! One connection to the relay: greeting, encryption, sign-in, and mails in sequence.

mod extension;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use self::extension::Extensions;
use super::answer::{self, RelayReply};
use super::tls::{Encryption, Tls};
use super::{Account, Server, data};
use crate::transport::{Envelope, Stage, TransportError};

/// Longest reply, in bytes, of all its lines together.
const MAX_REPLY_BYTES: u64 = 64 * 1024;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection on which commands and replies alternate strictly.
pub(super) struct Connection {
    stream: BufReader<Box<dyn Stream>>,
    extensions: Extensions,
    /// Every command has had its reply, and the relay has not announced closing (421).
    is_in_step: bool,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("is_in_step", &self.is_in_step).finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects, encrypts and signs in. A failure here says nothing about any mail.
    pub(super) async fn open(server: &Server) -> Result<Self, TransportError> {
        let tcp = TcpStream::connect((server.host.as_str(), server.port)).await;
        let tcp = tcp.map_err(|error| unreachable(&error))?;
        tcp.set_nodelay(true).map_err(|error| unreachable(&error))?;
        let stream: Box<dyn Stream> = match &server.encryption {
            Encryption::Implicit(tls) => handshake(tls, tcp).await?,
            Encryption::None | Encryption::Starttls(_) => Box::new(tcp),
        };
        let mut connection = Self::over(stream);
        connection.reply(Stage::Connect, 2).await?;
        connection.hello(&server.client_name).await?;
        if let Encryption::Starttls(tls) = &server.encryption {
            connection = connection.start_tls(tls, &server.client_name).await?;
        }
        if let Some(account) = &server.account {
            connection.sign_in(account).await?;
        }
        Ok(connection)
    }

    fn over(stream: Box<dyn Stream>) -> Self {
        Self { stream: BufReader::new(stream), extensions: Extensions::default(), is_in_step: true }
    }

    /// Whether another mail may use the connection.
    pub(super) fn is_reusable(&self) -> bool {
        self.is_in_step && self.stream.buffer().is_empty()
    }

    /// Sends RSET: ends a mail transaction that was refused, and tests whether the connection is alive.
    pub(super) async fn reset(&mut self) -> Result<(), TransportError> {
        self.command(Stage::Connect, "RSET", 2).await.map(drop)
    }

    /// Sends one mail; returns the reply to its message.
    pub(super) async fn send(
        &mut self,
        envelope: &Envelope,
        message: &[u8],
    ) -> Result<String, TransportError> {
        let parameters = self.extensions.parameters(envelope, message)?;
        self.command(Stage::Sender, &format!("MAIL FROM:<{}>{parameters}", envelope.from), 2).await?;
        self.command(Stage::Recipient, &format!("RCPT TO:<{}>", envelope.to), 2).await?;
        self.command(Stage::Data, "DATA", 3).await?;
        self.write(&data::encode(message)).await?;
        let answer = self.reply(Stage::Message, 2).await?;
        Ok(format!("{} {}", answer.code, answer.text))
    }

    async fn hello(&mut self, name: &str) -> Result<(), TransportError> {
        self.write(format!("EHLO {name}\r\n").as_bytes()).await.map_err(|error| before_mail(&error))?;
        let (_, lines) = self.lines(Stage::Connect, 2).await?;
        self.extensions = Extensions::read(&lines);
        Ok(())
    }

    /// Input received before the handshake must not be treated as received over TLS.
    async fn start_tls(mut self, tls: &Tls, name: &str) -> Result<Self, TransportError> {
        if !self.extensions.starttls {
            return Err(unreachable(&"the relay does not offer STARTTLS (mail.relay_tls)"));
        }
        self.command(Stage::Connect, "STARTTLS", 2).await?;
        if !self.stream.buffer().is_empty() {
            return Err(unreachable(&"the relay sent more than its reply to STARTTLS"));
        }
        let mut connection = Self::over(handshake(tls, self.stream.into_inner()).await?);
        connection.hello(name).await?;
        Ok(connection)
    }

    async fn sign_in(&mut self, account: &Account) -> Result<(), TransportError> {
        let (user, password) = (&account.user, account.password.expose());
        if self.extensions.auth_plain {
            let response = STANDARD.encode(format!("\0{user}\0{password}"));
            self.command(Stage::SignIn, &format!("AUTH PLAIN {response}"), 2).await?;
        } else if self.extensions.auth_login {
            self.command(Stage::SignIn, "AUTH LOGIN", 3).await?;
            self.command(Stage::SignIn, &STANDARD.encode(user), 3).await?;
            self.command(Stage::SignIn, &STANDARD.encode(password), 2).await?;
        } else {
            return Err(unreachable(&"the relay offers neither AUTH PLAIN nor AUTH LOGIN (mail.relay_user)"));
        }
        Ok(())
    }

    async fn command(&mut self, stage: Stage, text: &str, class: u16) -> Result<RelayReply, TransportError> {
        let sent = self.write(format!("{text}\r\n").as_bytes()).await;
        sent.map_err(|error| if stage.is_before_mail() { before_mail(&error) } else { error })?;
        self.reply(stage, class).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        self.is_in_step = false;
        let stream = self.stream.get_mut();
        let written = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        written.await.map_err(|error| TransportError::Broken(error.to_string()))
    }

    async fn reply(&mut self, stage: Stage, class: u16) -> Result<RelayReply, TransportError> {
        let (code, lines) = self.lines(stage, class).await?;
        Ok(RelayReply { code, text: lines.join(" ") })
    }

    /// Reads a reply and requires its class. After a refusal the connection is still usable; after anything else it is not.
    async fn lines(&mut self, stage: Stage, class: u16) -> Result<(u16, Vec<String>), TransportError> {
        let broken = |text: String| match stage.is_before_mail() {
            true => unreachable(&text),
            false => TransportError::Broken(text),
        };
        let (code, lines) = self.read().await.map_err(broken)?;
        let answer = RelayReply { code, text: lines.join(" ") };
        self.is_in_step = code != 421 && (answer.class() == class || answer.class() >= 4);
        match answer.class() {
            found if found == class => Ok((code, lines)),
            4 | 5 => Err(TransportError::Refused { stage, code, text: answer.text }),
            _ => Err(broken(format!("the relay answered {code} {} out of turn", answer.text))),
        }
    }

    async fn read(&mut self) -> Result<(u16, Vec<String>), String> {
        let mut lines = Vec::new();
        let mut input = (&mut self.stream).take(MAX_REPLY_BYTES);
        loop {
            let mut bytes = Vec::new();
            input.read_until(b'\n', &mut bytes).await.map_err(|error| error.to_string())?;
            let Some(text) = bytes.strip_suffix(b"\n") else {
                return Err("the relay closed the connection".to_owned());
            };
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let line = answer::line(text).ok_or_else(|| {
                format!(
                    "the relay said what is no SMTP reply: {}",
                    String::from_utf8_lossy(text).escape_debug()
                )
            })?;
            lines.push(line.text);
            if line.is_last {
                return Ok((line.code, lines));
            }
        }
    }
}

async fn handshake<S: Stream + 'static>(tls: &Tls, stream: S) -> Result<Box<dyn Stream>, TransportError> {
    let stream = tls.connector.connect(tls.name.clone(), stream).await;
    Ok(Box::new(stream.map_err(|error| unreachable(&error))?))
}

fn unreachable(error: &dyn std::fmt::Display) -> TransportError {
    TransportError::Unreachable(format!("connection error: {error}"))
}

fn before_mail(error: &TransportError) -> TransportError {
    unreachable(error)
}

#[cfg(test)]
mod tests;
