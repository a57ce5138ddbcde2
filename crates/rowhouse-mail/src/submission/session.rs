//! The state machine of one SMTP session (RFC 5321, 6409). Leaves bytes to `codec`, and credentials and storage to
//! the backend.

mod command;
mod sign_in;

use std::net::IpAddr;
use std::time::Duration;

use rowhouse_http::limit::RateReport;
use rowhouse_kernel::{ANON, Actor, Origin, SERVICE_ROLE, SharedClock, SharedRng, new_id};
use time::format_description::well_known::Rfc2822;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;

use super::backend::{Backend, Refused, Sender};
use super::body::Body;
use super::codec::{Codec, Disconnect};
use super::memory::{MemoryBudget, Reservation};
use super::reply::{self, Reply};
use crate::limit::MailLimits;
use crate::message::{Address, RawMail};

/// Recipients of one message.
pub(crate) const MOST_RECIPIENTS: usize = 50;
/// Commands of one session.
const MOST_COMMANDS: u32 = 20_000;
/// Refused commands of one session; recipients beyond the limit are not counted.
const MOST_ERRORS: u32 = 20;
/// How long a session may last without signing in.
const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the next command may take (RFC 5321 section 4.5.3.2.7).
const BETWEEN_COMMANDS: Duration = Duration::from_secs(300);
/// How long the next part of a message may take, and the whole of it.
const BETWEEN_PARTS: Duration = Duration::from_secs(60);
const WHOLE_MESSAGE: Duration = Duration::from_secs(600);

/// Largest header section of a message, in bytes; leaves room for headers that are added later.
const MOST_HEADER_BYTES: usize = 255 * 1024;

/// Context shared by all sessions.
pub(crate) struct ServerContext<D> {
    pub(crate) backend: D,
    /// Name in the greeting.
    pub(crate) host: String,
    pub(crate) max_message_bytes: usize,
    /// Messages are captured: clients on loopback need no credentials.
    pub(crate) is_capture: bool,
    pub(crate) has_tls: bool,
    pub(crate) memory: MemoryBudget,
    pub(crate) limits: MailLimits,
    pub(crate) clock: SharedClock,
    pub(crate) rng: SharedRng,
}

/// What is known about the client before its first command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The client's address; `None` on a Unix socket.
    pub(crate) address: Option<IpAddr>,
    /// Over TLS.
    pub(crate) is_secure: bool,
}

impl Peer {
    /// A Unix socket counts as loopback.
    fn is_loopback(self) -> bool {
        self.address.is_none_or(|address| address.is_loopback())
    }
}

/// The end of a session.
pub(crate) enum SessionEnd<S> {
    /// The connection is to be closed.
    Closed,
    /// The TLS handshake follows.
    Tls(S),
}

enum Step {
    Next,
    Close,
    Tls,
}

/// A message whose recipients are being named.
struct Draft {
    from: Option<Address>,
    to: Vec<Address>,
}

struct SmtpSession<'h, D, S> {
    context: &'h ServerContext<D>,
    codec: Codec<S>,
    peer: Peer,
    has_greeted: bool,
    sender: Option<Sender>,
    draft: Option<Draft>,
    commands: u32,
    errors: u32,
    begun: Instant,
    /// The session's id, in its log lines, mails and jobs.
    id: String,
    drain: watch::Receiver<bool>,
}

/// Runs a session to its end. After STARTTLS a new session begins, without a greeting.
pub(crate) async fn converse<D: Backend, S: AsyncRead + AsyncWrite + Unpin + Send>(
    context: &ServerContext<D>,
    stream: S,
    peer: Peer,
    greet: bool,
    drain: watch::Receiver<bool>,
) -> SessionEnd<S> {
    let mut session = SmtpSession::new(context, stream, peer, drain);
    if greet {
        session.codec.say_lines(&format!("220 {} ESMTP Rowhouse\r\n", context.host));
    }
    match session.run().await {
        Ok(true) => return SessionEnd::Tls(session.codec.into_stream()),
        Ok(false) | Err(Disconnect::Gone) => {}
        Err(Disconnect::With(reply)) => session.codec.say(&reply),
    }
    let _gone_already = session.codec.flush().await;
    SessionEnd::Closed
}

impl<'h, D: Backend, S: AsyncRead + AsyncWrite + Unpin + Send> SmtpSession<'h, D, S> {
    fn new(context: &'h ServerContext<D>, stream: S, peer: Peer, drain: watch::Receiver<bool>) -> Self {
        let captured = || Sender { name: "capture".to_owned(), tenant: None, key: None };
        Self {
            context,
            codec: Codec::new(stream),
            peer,
            has_greeted: false,
            sender: (context.is_capture && peer.is_loopback()).then(captured),
            draft: None,
            commands: 0,
            errors: 0,
            begun: Instant::now(),
            id: new_id(&*context.clock, &*context.rng).to_string(),
            drain,
        }
    }

    /// True if TLS comes next.
    async fn run(&mut self) -> Result<bool, Disconnect> {
        loop {
            let deadline = self.deadline();
            let line = tokio::select! {
                biased;
                _told_or_gone = self.drain.wait_for(|drain| *drain) => return Err(Disconnect::With(reply::STOPPING)),
                line = self.codec.line(deadline) => line?,
            };
            self.commands += 1;
            if self.commands > MOST_COMMANDS {
                return Err(Disconnect::With(reply::TOO_MANY_COMMANDS));
            }
            match self.answer(&line).await? {
                Step::Next => {}
                Step::Close => return Ok(false),
                Step::Tls => return Ok(true),
            }
        }
    }

    fn deadline(&self) -> Instant {
        match self.sender {
            Some(_) => Instant::now() + BETWEEN_COMMANDS,
            None => self.begun + SIGN_IN_TIMEOUT,
        }
    }

    fn say(&mut self, reply: &Reply) -> Result<Step, Disconnect> {
        self.codec.say(reply);
        self.errors += u32::from(reply.is_error());
        if self.errors > MOST_ERRORS {
            return Err(Disconnect::With(reply::TOO_MANY_ERRORS));
        }
        Ok(Step::Next)
    }

    /// Receives the message. Accepted means committed.
    async fn take_message(&mut self) -> Result<Step, Disconnect> {
        let Some(draft) = self.draft.take_if(|draft| !draft.to.is_empty()) else {
            return self.say(&reply::RECIPIENT_FIRST);
        };
        self.codec.say(&reply::GO_AHEAD);
        let body = Body::new(self.context.max_message_bytes, self.context.memory.reserve());
        let body = self.codec.message(body, BETWEEN_PARTS, Instant::now() + WHOLE_MESSAGE).await?;
        let answer = match body.finish() {
            Ok((mime, reservation)) => self.hand_in(draft, mime, reservation).await?,
            Err(fault) => fault.reply(),
        };
        self.say(&answer)
    }

    /// The origin of the operations of this session.
    fn origin(&self) -> Origin {
        let actor = match &self.sender {
            Some(sender) if sender.name == SERVICE_ROLE => Actor::Role(SERVICE_ROLE.into()),
            Some(sender) => Actor::Credential(sender.name.as_str().into()),
            None => Actor::Role(ANON.into()),
        };
        Origin {
            request_id: Some(self.id.as_str().into()),
            actor,
            tenant: self.sender.as_ref().and_then(|sender| sender.tenant),
            address: self.peer.address,
            user_agent: None,
            clock: self.context.clock.clone(),
        }
    }

    /// The trace header (RFC 5321 section 4.4), without the client's name and address, which are not the recipients'
    /// business.
    fn trace(&self) -> String {
        let Ok(date) = self.context.clock.now().format(&Rfc2822) else { return String::new() };
        let protocol = if self.peer.is_secure { "ESMTPSA" } else { "ESMTPA" };
        format!("Received: by {} with {protocol} id {}; {date}\r\n", self.context.host, self.id)
    }

    async fn hand_in(
        &mut self,
        draft: Draft,
        mime: Vec<u8>,
        reservation: Reservation,
    ) -> Result<Reply, Disconnect> {
        let Some(sender) = self.sender.clone() else { return Ok(reply::SIGN_IN_FIRST) };
        if headers_len(&mime) > MOST_HEADER_BYTES {
            return Ok(reply::HEADERS_TOO_LARGE);
        }
        if !begins_with_header(&mime) {
            return Ok(reply::NO_HEADER);
        }
        let mail = RawMail {
            from: draft.from,
            to: draft.to,
            mime: [self.trace().into_bytes(), mime].concat(),
            request_id: Some(self.id.clone()),
            tenant: sender.tenant,
            credential: Some(sender.name.clone()),
            ..RawMail::default()
        };
        if self.context.limits.take_submission(sender.tenant, &RateReport::default()).await.is_err() {
            return Ok(reply::TOO_MANY_MAILS);
        }
        let outcome = self.context.backend.accept(&sender, mail, self.origin()).await;
        drop(reservation);
        tracing::info!(request_id = self.id, sender = sender.name, ?outcome, "mail handed in");
        Ok(match outcome {
            Ok(id) => Reply::accepted(id),
            Err(Refused::Credential) => return Err(Disconnect::With(reply::NO_LONGER_GOOD)),
            Err(Refused::Message(why)) => Reply::refused(&why),
            Err(Refused::Sender(why)) => Reply::sender_refused(&why),
            Err(Refused::TooLarge) => reply::TOO_LARGE,
            Err(Refused::NotNow) => reply::NOT_NOW,
        })
    }
}

/// Requires a name and a colon (RFC 5322 section 2.2); behind the trace header any first line would otherwise pass
/// for a header.
fn begins_with_header(mime: &[u8]) -> bool {
    let name = memchr::memchr(b':', mime).map(|colon| mime[..colon].trim_ascii_end());
    name.is_some_and(|name| !name.is_empty() && name.iter().all(u8::is_ascii_graphic))
}

/// Length of the header section.
fn headers_len(mime: &[u8]) -> usize {
    memchr::memmem::find(mime, b"\r\n\r\n").unwrap_or(mime.len())
}

#[cfg(test)]
mod tests;
